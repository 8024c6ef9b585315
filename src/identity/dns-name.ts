import { isIP } from "node:net";

const LONGEST_NAME = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A DNS name in lower case without the trailing dot, or `undefined` for what is none (RFC 1123, section 2.1; underscores, which names in use have,
 * are let through). International names come as A-labels (RFC 5890). What some resolver reads as an IPv4 address, such as `127.1` or `0x7f000001`,
 * is no name: no name ends in a label of digits or of a hexadecimal number (WHATWG URL, "ends in a number").
 */
export function parseDnsName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length > LONGEST_NAME || isIP(name) !== 0) return undefined;
  const labels = name.split(".");
  const last = labels.at(-1) ?? "";
  return labels.every((label) => LABEL.test(label)) && !/^(?:\d+|0x[0-9a-f]*)$/.test(last) ? name : undefined;
}

/** The name that `example.com`, `.example.com` and `*.example.com` are limited to, or `undefined` for what is no such thing. */
export function parseSuffix(text: string): string | undefined {
  return parseDnsName(text.replace(/^\*?\./, ""));
}

/** Whether a parsed name is another or stands below it. */
export function isBelow(name: string, suffix: string): boolean {
  return name === suffix || name.endsWith(`.${suffix}`);
}
