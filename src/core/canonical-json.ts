/**
 * The one text of a JSON value: keys sorted by UTF-16 units, no spaces, numbers as ECMAScript writes them (RFC 8785). Members that are `undefined`
 * are left out, as JSON has no word for them. Throws a `TypeError` for anything else that JSON has none for.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item: unknown) => canonicalJson(item)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  const isNumber = typeof value === "number" && Number.isFinite(value);
  if (value === null || typeof value === "string" || typeof value === "boolean" || isNumber) return JSON.stringify(value);
  throw new TypeError(`JSON has no word for a ${typeof value}.`);
}
