import type { Readable } from "node:stream";

/** What making images needs of an engine, in the words of this folder; the engine's adapter implements it and throws `SandboxError` only. */
export type ImageStore = {
  /** The engine's architecture in OCI terms: `amd64`, `arm64`. */
  readonly arch: string;
  /** The image as it lies on the engine, or `undefined`. Never pulls. */
  find(ref: string): Promise<StoredImage | undefined>;
  /** Images that carry `label`, newest first. */
  list(label: string): Promise<readonly StoredImage[]>;
  /**
   * Gets `ref` from its registry. Resolves to `false` when no registry answers within `answerWithin` ms or the registry has not got it;
   * the transfer itself may take as long as it needs.
   */
  pull(
    ref: string,
    options: { readonly answerWithin: number; readonly onProgress: Progress; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** Builds the Dockerfile in `context`, a tar archive. Throws `BUILD_FAILED`. */
  buildFromContext(context: Buffer, options: BuildOptions): Promise<StoredImage>;
  /** Makes an image of one layer from a tar archive of a whole root file system. An archive that breaks off makes none. */
  importRootfs(rootfs: Readable, options: ImportOptions): Promise<StoredImage>;
  /** Removes an image that has no name any more. Leaves it where it is in use or named. */
  discard(id: string): Promise<void>;
};

export type StoredImage = {
  readonly ref: string;
  /** Content id, `sha256:…`. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly bytes: number;
  readonly created: Date;
};

/** Takes one short line for people. */
export type Progress = (line: string) => void;

export type BuildOptions = {
  readonly ref: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly onProgress: Progress;
  readonly signal: AbortSignal;
};

export type ImportOptions = {
  readonly ref: string;
  readonly config: ImageConfig;
  readonly signal: AbortSignal;
};

export type ImageConfig = {
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};
