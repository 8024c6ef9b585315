import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const RUN_ID = /^[0-9a-hjkmnp-tv-z]{20}$/;

/**
 * A new run id: 20 characters of Crockford's base 32 in lower case, 9 for the time in milliseconds and 11 random (55 bits). Ids sort by the time of
 * their making and are safe as a container name, a label, a file name and a DNS label.
 */
export function createRunId(now: number = Date.now()): string {
  let time = "";
  for (let rest = now, i = 0; i < 9; i += 1, rest = Math.floor(rest / 32)) time = letter(rest % 32) + time;
  return time + Array.from(randomBytes(11), (byte) => letter(byte % 32)).join("");
}

export function isRunId(text: string): boolean {
  return RUN_ID.test(text);
}

function letter(index: number): string {
  return ALPHABET.charAt(index);
}
