import { systemCode } from "../core/errors.ts";

const EPIPE_STATUS = 128 + 13;
const FAILED_STATUS = 125;

/**
 * What becomes of a command whose standard output can't be written: it ends as one that died of SIGPIPE where nobody reads any more, and with a
 * sentence where something else is wrong. `run` judges its own output.
 */
export function endOnBrokenOutput(): Disposable {
  const end = (error: Error): void => {
    const code = systemCode(error);
    if (code !== "EPIPE")
      process.stderr.write(
        `sandbox: Standard output can't be written: ${code ?? error.message}.\n  Free space or choose another place for it. (OUTPUT_BROKEN)\n`,
      );
    process.exit(code === "EPIPE" ? EPIPE_STATUS : FAILED_STATUS);
  };
  process.stdout.on("error", end);
  return { [Symbol.dispose]: () => process.stdout.off("error", end) };
}
