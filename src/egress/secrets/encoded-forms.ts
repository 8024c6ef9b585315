const SHORT = 8;

/**
 * The ways in which a text is commonly written down, without duplicates and the text itself first: as it is, base64 and base64url (RFC 4648, sections 4
 * and 5) at each of the three alignments, hexadecimal, percent-encoded (RFC 3986, section 2.1, and as a form), as the inside of a JSON string (RFC 8259,
 * section 7). A text of fewer than 8 bytes only has itself: the middle of its base64 would be found in anything.
 */
export function encodedForms(text: string): readonly string[] {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length < SHORT) return [text];
  const base64 = base64Cores(bytes);
  const base64url = base64.map((core) => core.replaceAll("+", "-").replaceAll("/", "_"));
  const wrapped = base64.flatMap((core) => [...percentForms(Buffer.from(core)), ...jsonForms(core)]);
  const hex = bytes.toString("hex");
  const all = [text, ...base64, ...base64url, ...wrapped, hex, hex.toUpperCase(), ...percentForms(bytes), ...jsonForms(text)];
  return [...new Set(all)];
}

/**
 * The characters that base64 shows for these bytes whatever stands before and after them, for 0, 1 and 2 bytes before (modulo 3). Characters that also
 * hold bits of a neighbour are left out: at most one at each end.
 */
export function base64Cores(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
}

/** The inside of a JSON string. */
export function toJsonText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Everything but the unreserved characters of RFC 3986 as `%XX`. */
export function toPercentText(bytes: Buffer, kept = /[A-Za-z0-9\-._~]/): string {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    return kept.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** Strictly, as encodeURIComponent does, as forms do, as paths may, and every byte; with digits in upper and lower case. */
function percentForms(bytes: Buffer): readonly string[] {
  const strict = toPercentText(bytes);
  const loose = toPercentText(bytes, /[A-Za-z0-9\-._~!'()*]/);
  const form = toPercentText(bytes, /[A-Za-z0-9\-._*]/).replaceAll("%20", "+");
  const path = toPercentText(bytes, /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/);
  const every = toPercentText(bytes, /(?!)/);
  return [strict, loose, form, path, every].flatMap((text) => [text, text.replaceAll(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase())]);
}

/** Plainly, with `\/`, in ASCII only, and safe to stand in HTML, which are the habits of the common encoders. */
function jsonForms(text: string): readonly string[] {
  const plain = toJsonText(text);
  const slashes = plain.replaceAll("/", "\\/");
  const forms = [plain, slashes, escapeEach(plain, /[<>&]/g)];
  return forms.flatMap((form) => [form, escapeEach(form, /[^\x20-\x7e]/g)]);
}

function escapeEach(text: string, characters: RegExp): string {
  return text.replaceAll(characters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
