import { SandboxError } from "../../../src/core/errors.ts";
import { readTaskFile } from "../../../src/policy/file/read-task-file.ts";

/** What is wrong with a file; anything else that is thrown goes through. */
export function faultOf(text: string): SandboxError {
  try {
    readTaskFile(text, "dir/task.yaml");
  } catch (thrown) {
    if (thrown instanceof SandboxError) return thrown;
    throw thrown;
  }
  throw new Error(`The file was taken:\n${text}`);
}

export function top(lines: string): string {
  return `version: 1\n${lines}\n`;
}

/** One rule on the second line; its keys begin at column 12. */
export function inRule(keys: string): string {
  return top(`egress: [{ ${keys} }]`);
}

/** One secret on the second line; its keys begin at column 17. */
export function inSecret(keys: string): string {
  return top(`secrets: { A: { ${keys} } }`);
}
