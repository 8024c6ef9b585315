import type { Duplex } from "node:stream";
import type { ImageStore } from "../images/image-store.ts";
import type { Posture } from "./posture.ts";

/**
 * What a run needs of a container engine, owned by the run and spoken in its words: nothing here names a vendor. An adapter
 * translates, and throws `SandboxError` with the codes of the engine group (`NO_ENGINE`, `ENGINE_*`, `NO_IMAGE`, …) only.
 */
export type Engine = {
  readonly info: EngineInfo;
  /** The image as it lies on the engine, or `undefined` when it is not there. Never pulls. */
  findImage(ref: string): Promise<Image | undefined>;
  /** Pulls `ref`; `onProgress` gets one short line for people, at most a few times a second. Throws `PULL_FAILED`. */
  pullImage(ref: string, options: { readonly onProgress: (line: string) => void; readonly signal: AbortSignal }): Promise<Image>;
  /** An id for a run to come; a pool gives that of a container that is ready. */
  newRun(): string;
  /** Makes the container of `spec`, guest included, without starting it. */
  create(spec: ContainerSpec): Promise<Container>;
  /** Containers that carry our labels, of any owner, running or not. */
  list(): Promise<readonly OwnedContainer[]>;
  /** Ends and removes one container of ours by its run id and resolves when it is gone; `false` when there was none. */
  remove(run: string): Promise<boolean>;
  /** Removes guest volumes of other versions that no container uses, and what unfinished fillings left; gives their names. */
  removeUnusedGuests(): Promise<readonly string[]>;
  /** What the engine tells about itself and its machine, for `sandbox doctor`. */
  facts(): Promise<EngineFacts>;
  /** If this process is killed before the answer is disposed of, the directory of unfinished results at `path` is removed. */
  removeIfKilled(path: string): Disposable;
  /** What making images needs. */
  readonly images: ImageStore;
  /** Closes idle connections so that the process can end. */
  close(): void;
};

export type EngineInfo = {
  /** `docker` or `podman`. */
  readonly name: string;
  readonly version: string;
  /** Where it was found, as a URL: `unix:///var/run/docker.sock`, `tcp://host:2376`, `ssh://user@host`. */
  readonly endpoint: string;
  /** Architecture in OCI terms: `amd64`, `arm64`. */
  readonly arch: string;
};

/** Versions are as the engine writes them; an empty text means that it does not say. */
export type EngineFacts = {
  readonly name: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly endpoint: string;
  /** Operating system of the containers. */
  readonly os: string;
  readonly kernel: string;
  /** `1` or `2`. */
  readonly cgroupVersion: string;
  /** What can be limited. */
  readonly limits: { readonly memory: boolean; readonly swap: boolean; readonly cpu: boolean; readonly pids: boolean };
  readonly seccomp: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  /** Users of containers are mapped to others on the machine. */
  readonly userns: boolean;
  readonly rootless: boolean;
  readonly runtimes: readonly string[];
  /** Those among them that the engine tells to set no limits. */
  readonly unlimitedRuntimes: readonly string[];
  readonly defaultRuntime: string;
  /** The engine and what it is made of: `docker`, `podman`, `containerd`, `runc`, `crun`. */
  readonly components: readonly { readonly name: string; readonly version: string }[];
};

export type Image = {
  readonly ref: string;
  /** Content id, `sha256:…`. */
  readonly id: string;
  /** Registry digest `sha256:…` where the image came from a registry. */
  readonly digest: string | undefined;
  /** Architecture in OCI terms. */
  readonly arch: string;
  /** `PATH` of the image's own environment. */
  readonly path: string | undefined;
  /** Paths that the image declares as volumes. */
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};

export type ContainerSpec = {
  readonly run: string;
  readonly image: Image;
  readonly posture: Posture;
  /** The user's own labels; the labels of ownership are added by the adapter. */
  readonly labels: Readonly<Record<string, string>>;
  /** Keep the container after its end instead of letting the engine remove it. */
  readonly keep: boolean;
};

export type Container = {
  readonly id: string;
  readonly name: string;
  /** Connects to the standard input and output of process 1; call before `start`. The raw bytes of the pipe, nothing else. */
  attach(): Promise<Duplex>;
  start(): Promise<void>;
  /** What process 1 wrote to standard error so far, at most 4 KiB: the reason of a failed start. */
  diagnostics(): string;
  pause(): Promise<void>;
  /**
   * Kills it where needed, removes it, and resolves once the engine says that it is gone (404 on inspect). Can be called in any
   * state and more than once. Throws `DESTROY_FAILED` or `ENGINE_LOST`. With `keep`, resolves when it has stopped.
   */
  destroy(): Promise<Destroyed>;
  /** Asks the engine what became of the container, after at most `patience` ms of waiting for its end; `undefined` when it no longer knows. */
  autopsy(patience: number): Promise<Autopsy | undefined>;
};

/** `proof` says what showed it: `engine-removed` (the engine's wait for removal returned) or `engine-404` (inspect finds nothing). */
export type Destroyed = { readonly destroyed: boolean; readonly proof: "engine-removed" | "engine-404" | "kept" };

export type Autopsy = {
  readonly oomKilled: boolean;
  readonly exitCode: number;
  readonly running: boolean;
  readonly paused: boolean;
  readonly error: string;
};

export type OwnedContainer = {
  readonly run: string;
  readonly id: string;
  readonly name: string;
  /** What the run called it where that is known, else the engine's name or short id of it. */
  readonly image: string;
  /** The engine's word: `created`, `running`, `paused`, `exited`, `dead`. */
  readonly state: string;
  readonly created: Date;
  readonly owner: Owner;
  readonly kept: boolean;
  readonly labels: Readonly<Record<string, string>>;
};

/**
 * The process that a container belongs to. `boot` is the kernel's boot id with the pid namespace, `start` the process's start time in
 * clock ticks since boot (on macOS the boot session and seconds since the epoch).
 */
export type Owner = { readonly pid: number; readonly start: string; readonly boot: string };
