import type { LearnedRule } from "../policy/file/write-task-file.ts";

/** The file for what a run that learns has used. */
export type Learned = { readonly take: (rules: readonly LearnedRule[]) => void; write(): Promise<void> };

/** Checks the place for the file before anything starts. Throws `OUT_UNWRITABLE`. */
export async function prepareLearned(path: string | undefined): Promise<Learned> {
  if (path === undefined) return { take: () => undefined, write: () => Promise.resolve() };
  const { assertWritableFile } = await import("../files/outputs.ts");
  await assertWritableFile(path);
  let rules: readonly LearnedRule[] = [];
  return {
    take: (learned) => {
      rules = learned;
    },
    async write() {
      const { writeTaskFile } = await import("../policy/file/write-task-file.ts");
      const { writeWhole } = await import("../files/write-whole.ts");
      await writeWhole(path, writeTaskFile(rules));
    },
  };
}
