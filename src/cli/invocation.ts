/** What a command gets from the command line: its words, its options by long name in camel case, and how to answer. */
export type Invocation = { readonly words: readonly string[]; readonly options: Readonly<Record<string, unknown>> };
