/** The bytes of a list of tasks, and what the list is called in sentences. */
export type TaskBytes = { readonly bytes: AsyncIterable<Buffer>; readonly source: string };

/** One task before anyone has looked at it, and the line that it begins in. */
export type TaskItem = { readonly line: number; readonly value: unknown };
