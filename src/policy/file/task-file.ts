/** Place in a file: both numbers count from 1, the column in UTF-16 units, as editors do. */
export type Where = { readonly line: number; readonly column: number };

/** What a task file says, with its shape judged and its words kept: what hosts, paths, rates and sources mean is judged by their readers. */
export type TaskFile = {
  readonly version: 1;
  readonly sandbox: { readonly [key in SandboxKey]?: SandboxField };
  /** In the order of the file. Empty where the file allows nothing or has no `egress`. */
  readonly egress: readonly FileRule[];
  readonly secrets: readonly FileSecret[];
};

export type SandboxKey = "image" | "cpus" | "memory" | "pids" | "disk" | "tmp" | "timeout" | "workdir" | "user" | "runtime" | "hostname";

/** One setting as it is written, such as `512m` or `0.5`; a number keeps its spelling. */
export type SandboxField = { readonly text: string; readonly where: Where };

export type FileRule = {
  readonly host: string;
  readonly deny: boolean;
  /** 443 and 80 where the rule names none; empty where it denies and names none, which is every port. */
  readonly ports: readonly number[];
  /** An IPv4 or IPv6 address in place of the look-up. */
  readonly address?: string;
  readonly private: boolean;
  /** At least one, in upper case. */
  readonly methods?: readonly string[];
  /** At least one. */
  readonly paths?: readonly string[];
  readonly rate?: string;
  readonly burst?: number;
  /** Bytes. */
  readonly maxBytes?: number;
  readonly maxConnections?: number;
  readonly upgrade?: readonly "websocket"[];
  /** Path of a PEM file, relative to the task file. */
  readonly ca?: string;
  /** Where the rule begins. */
  readonly where: Where;
};

export type FileSecret = {
  /** Name of the variable that the command sees. */
  readonly name: string;
  readonly from: string;
  /** At least one. */
  readonly hosts: readonly string[];
  readonly header?: string;
  /** Where it may stand in a request: only in headers where the file says nothing. */
  readonly in: readonly SecretPlace[];
  /** Where its name stands. */
  readonly where: Where;
};

export type SecretPlace = "header" | "body";
