/**
 * Answers whether a pattern with stars, each for any number of items, fits all of a sequence. It needs no search, because when what follows
 * a star does not fit, only the latest star takes one more: at most as many steps as the product of both lengths.
 */
export function matchSequence<P, I>(
  pattern: readonly P[],
  items: readonly I[],
  rules: { readonly isStar: (part: P) => boolean; readonly fits: (part: P, item: I) => boolean },
): boolean {
  let at = 0;
  let part = 0;
  let resume: { part: number; at: number } | undefined;
  while (at < items.length) {
    const current = pattern[part];
    const item = items[at];
    if (current !== undefined && rules.isStar(current)) {
      resume = { part: part + 1, at };
      part += 1;
    } else if (current !== undefined && item !== undefined && rules.fits(current, item)) {
      part += 1;
      at += 1;
    } else if (resume !== undefined) {
      resume.at += 1;
      part = resume.part;
      at = resume.at;
    } else return false;
  }
  return pattern.slice(part).every(rules.isStar);
}
