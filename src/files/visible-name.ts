/** Every character that does not show, or changes how those around it show: controls, format and bidirectional marks, zero-width, tags, lone surrogates. */
const HIDDEN = /[\p{Cc}\p{Surrogate}\u2028-\u202e\ufff9-\ufffb\p{Default_Ignorable_Code_Point}]/gu;

/** A file name for sentences and lists: each character that does not show stands as `<U+202E>`. */
export function showName(name: string): string {
  return name.replace(HIDDEN, (character) => `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`);
}
