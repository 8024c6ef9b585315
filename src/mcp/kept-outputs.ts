/** What was too long for an answer, as resources: bounded in number and bytes, the oldest goes first. */
export type KeptOutputs = {
  /** Keeps a text and answers its URI. */
  add(name: { readonly call: string; readonly source: string }, text: string): string;
  list(): readonly KeptOutput[];
  read(uri: string): string | undefined;
};

/** `bytes` in UTF-8. */
export type KeptOutput = { readonly uri: string; readonly name: string; readonly bytes: number };

export type KeptLimits = { readonly entries: number; readonly bytes: number };

/** `onChange` is called when the list has changed. */
export function createKeptOutputs(limits: KeptLimits, onChange: () => void): KeptOutputs {
  const kept = new Map<string, KeptOutput & { readonly text: string }>();
  let bytes = 0;

  function dropOldest(): void {
    for (const [uri, oldest] of kept) {
      if (kept.size <= limits.entries && bytes <= limits.bytes) return;
      kept.delete(uri);
      bytes -= oldest.bytes;
    }
  }

  return {
    add({ call, source }, text) {
      const uri = `sandbox://output/${call}/${source}`;
      const entry = { uri, name: `${source} of call ${call}`, bytes: Buffer.byteLength(text), text };
      kept.set(uri, entry);
      bytes += entry.bytes;
      dropOldest();
      onChange();
      return uri;
    },
    list: () => [...kept.values()].map(({ uri, name, bytes: size }) => ({ uri, name, bytes: size })),
    read: (uri) => kept.get(uri)?.text,
  };
}
