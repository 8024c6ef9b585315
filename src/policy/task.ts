import type { RuleSpec, SecretRequest } from "./egress-spec.ts";
import type { Quotas } from "./quotas.ts";
import type { MountRequest } from "./task-fields.ts";
import type { PullPolicy } from "./task-request.ts";

/** A `TaskRequest` with everything decided: no field is optional by accident. Sizes in bytes, durations in milliseconds. */
export type Task = {
  /** Empty for a sandbox that is opened first and gets its commands later. */
  readonly command: readonly string[];
  readonly image: { readonly ref: string; readonly pull: PullPolicy; readonly requireDigest: boolean };
  readonly workdir: string;
  readonly workspace: { readonly directory: string; readonly exclude: readonly string[]; readonly withGit: boolean } | undefined;
  readonly mounts: readonly MountRequest[];
  readonly artifacts: readonly string[];
  readonly out: string | undefined;
  readonly patch: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** An empty list of rules lets nothing out. */
  readonly egress: {
    readonly rules: readonly RuleSpec[];
    readonly secrets: readonly SecretRequest[];
    readonly maxBytes: number | undefined;
    /** Find out what is used, for narrower rules. */
    readonly learn: boolean;
  };
  readonly quotas: Quotas;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly runtime: string | undefined;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly keep: boolean;
  readonly terminal: boolean;
};
