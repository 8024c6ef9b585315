import { createSecrets, type Secrets } from "../../../src/egress/secrets/secret.ts";
import type { HostMatch, SecretSpec } from "../../../src/egress/secrets/secret-spec.ts";

export const OWN = "api.example.com";
export const OTHER = "other.example.com";
export const VALUE = 'tök?en>"/+ \\value~~0123456789';

export function host(text: string): HostMatch {
  return { text, matches: (name) => name === text };
}

export function spec(changes: Partial<SecretSpec> = {}): SecretSpec {
  return { name: "TOKEN", from: { kind: "env", variable: "TOKEN" }, hosts: [host(OWN)], in: ["header"], ...changes };
}

/** Secrets whose variables all hold the value. */
export function holding(value: string, ...specs: readonly SecretSpec[]): Secrets {
  const no = (): Promise<string> => Promise.reject(new Error("not in this test"));
  return createSecrets(specs.length === 0 ? [spec()] : specs, { readEnv: () => value, readFile: no, runCommand: no });
}

export function placeholderOf(secrets: Secrets, name = "TOKEN"): string {
  return secrets.placeholders[name] ?? "";
}

/** Text in base64 behind 0, 1 and 2 other bytes. */
export function aligned(text: string): readonly string[] {
  return ["", "x", "xy"].map((before) => Buffer.from(`${before}${text}zz`).toString("base64"));
}

export function percentAll(text: string): string {
  return Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

export function jsonAll(text: string): string {
  return Array.from(text, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

/** Cuts at positions given as fractions. */
export function cut(bytes: Buffer, fractions: readonly number[]): readonly Buffer[] {
  const places = [0, ...fractions.map((fraction) => Math.floor(fraction * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}
