/** The one of `names` that differs least, in at most a third of its letters; case, `-` and `_` don't count. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const bare = (text: string): string => text.toLowerCase().replace(/[-_]/g, "");
  const ranked = names
    .filter((other) => Math.abs(other.length - name.length) < 4)
    .map((other) => ({ other, distance: editDistance(bare(name), bare(other)) }))
    .filter(({ other, distance }) => distance <= Math.max(1, Math.floor(other.length / 3)));
  return ranked.sort((left, right) => left.distance - right.distance)[0]?.other;
}

/** Levenshtein's distance: how many letters to add, drop or change. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let at = 1; at <= left.length; at += 1) {
    const next = [at];
    for (let column = 1; column <= right.length; column += 1) {
      const change = (row[column - 1] ?? 0) + (left[at - 1] === right[column - 1] ? 0 : 1);
      next.push(Math.min(change, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
