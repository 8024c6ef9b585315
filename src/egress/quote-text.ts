const LONGEST = 80;

/**
 * Text from a rule or from inside, in quotes for a sentence: every character but visible ASCII stands as `<U+FF0E>`, so that a look-alike
 * or a control shows as what it is; after 80 characters it is cut.
 */
export function quoteText(text: string): string {
  const shown = text.slice(0, LONGEST).replace(/[^ -~]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
  return `"${shown}${text.length > LONGEST ? "…" : ""}"`;
}
