import { SandboxError } from "./errors.ts";

const SIZE_UNITS = new Map<string, number>([
  ["b", 1],
  ["k", 1024],
  ["kb", 1024],
  ["ki", 1024],
  ["kib", 1024],
  ["m", 1024 ** 2],
  ["mb", 1024 ** 2],
  ["mi", 1024 ** 2],
  ["mib", 1024 ** 2],
  ["g", 1024 ** 3],
  ["gb", 1024 ** 3],
  ["gi", 1024 ** 3],
  ["gib", 1024 ** 3],
  ["t", 1024 ** 4],
  ["tb", 1024 ** 4],
  ["ti", 1024 ** 4],
  ["tib", 1024 ** 4],
]);

const DURATION_UNITS = new Map<string, number>([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const QUANTITY = /^(\d{1,15}(?:\.\d{1,6})?)([a-z]*)$/;

/**
 * Bytes from a size with a unit: `512m`, `1Gi`, `1.5g`, `4096b`. As in docker, every unit is binary: `1k`, `1KB` and `1KiB` are 1,024 bytes.
 * Throws `BAD_SIZE` for a number without unit, zero, and anything that is not a whole number of bytes in the safe range.
 */
export function parseSize(text: string, what: string): number {
  const bytes = parseQuantity(text, SIZE_UNITS);
  if (bytes !== undefined) return bytes;
  throw new SandboxError("BAD_SIZE", `${what} is "${text}", which is not a size.`, "Write a number with a unit, such as 64m or 1Gi.");
}

/** Milliseconds from a duration with a unit: `250ms`, `30s`, `5m`, `1.5h`, `1d`. Throws `BAD_DURATION` like `parseSize`. */
export function parseDuration(text: string, what: string): number {
  const milliseconds = parseQuantity(text, DURATION_UNITS);
  if (milliseconds !== undefined) return milliseconds;
  throw new SandboxError(
    "BAD_DURATION",
    `${what} is "${text}", which is not a duration.`,
    "Write a number with a unit, such as 30s or 5m.",
  );
}

/** A size for people: the largest binary unit that keeps at most one decimal, such as `256 MiB` or `1.5 GiB`. */
export function formatSize(bytes: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(names.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${names[step] ?? "B"}`;
}

/** A duration for people: `740 ms`, `1.2 s`, `5 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const [value, unit] = milliseconds < 60_000 ? [milliseconds / 1000, "s"] : [milliseconds / 60_000, "min"];
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}

function parseQuantity(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = QUANTITY.exec(text.toLowerCase());
  const factor = units.get(match?.[2] ?? "");
  if (match === null || factor === undefined) return undefined;
  const value = Number(match[1]) * factor;
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
