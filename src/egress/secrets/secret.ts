import { inspect } from "node:util";
import { SandboxError } from "../../core/errors.ts";
import { type BodyKind, type BodyScanner, createBodyScanner } from "./body-scanner.ts";
import { createEchoScrubber, type Echo, type EchoScrubber, scrubWhole } from "./echo-scrubber.ts";
import { createPlaceholder, findAnySpelling, type Guarded } from "./placeholder.ts";
import { type Refused, refuse, type Substituted, substituteHeaders } from "./secret-headers.ts";
import { assertSecretSpecs, type SecretSpec } from "./secret-spec.ts";
import { createSecretValues, type SecretSources } from "./secret-values.ts";

/** Requests on their way out and answers on their way in. Every method that may need a value throws `SECRET_UNAVAILABLE` when there is none. */
export type Secrets = {
  /** Placeholders by name, for the task's environment. */
  readonly placeholders: Readonly<Record<string, string>>;
  /** Whether a secret may be sent to a host. */
  concerns(host: string): boolean;
  /** Judges a request target: no placeholder in any spelling, not even for the secret's own hosts. */
  judgeTarget(target: string): { readonly kind: "clean" } | Refused;
  /** Puts values into header values (names and values in turn, bytes as latin1) for the secrets' own hosts; refuses placeholders anywhere else. */
  substituteHeaders(rawHeaders: readonly string[], host: string): Promise<Substituted>;
  /** For one request body to one host; `onUsed` gets the name of each secret that is put in. */
  createBodyScanner(host: string, kind: BodyKind, onUsed?: (name: string) => void): BodyScanner;
  /** For one response body, of the values that are known as it passes. */
  createEchoScrubber(): EchoScrubber;
  /** Names and values of response headers, or trailers, without values of secrets. */
  scrubHeaders(rawHeaders: readonly string[]): readonly string[];
  /** For logs, errors and events. */
  scrubText(text: string): string;
  /** Reads a value again, for when a host no longer takes it; answers whether it changed. */
  refresh(name: string): Promise<boolean>;
  toJSON(): string;
};

/**
 * The task knows each secret by a random placeholder; values are put in here, on their way to the secret's hosts. Values are read at first use and kept in
 * this closure alone. Throws `BAD_SECRET` for specs that can't be meant.
 */
export function createSecrets(specs: readonly SecretSpec[], sources: SecretSources): Secrets {
  assertSecretSpecs(specs);
  const guarded: readonly Guarded[] = specs.map((spec) => ({ spec, placeholder: createPlaceholder(spec.name) }));
  const values = createSecretValues(sources);
  const read = (spec: SecretSpec): Promise<string> => values.read(spec);
  const echoes = (): readonly Echo[] =>
    guarded.flatMap(({ spec, placeholder }) => values.known(spec.name).map((value) => ({ value, placeholder })));

  const secrets: Secrets & { [inspect.custom](): string } = {
    placeholders: Object.freeze(Object.fromEntries(guarded.map(({ spec, placeholder }) => [spec.name, placeholder]))),
    concerns: (host) => specs.some(({ hosts }) => hosts.some((each) => each.matches(host))),
    judgeTarget(target) {
      const found = findAnySpelling(target, guarded);
      return found === undefined ? { kind: "clean" } : refuse(found, "its placeholder stands in the target of a request");
    },
    substituteHeaders: (rawHeaders, host) => substituteHeaders(rawHeaders, { host, guarded, read }),
    createBodyScanner: (host, kind, onUsed) => {
      const fill = async (spec: SecretSpec): Promise<string> => {
        const value = await read(spec);
        onUsed?.(spec.name);
        return value;
      };
      return createBodyScanner(kind, { host, guarded, read: fill });
    },
    createEchoScrubber: () => createEchoScrubber(echoes),
    scrubHeaders: (rawHeaders) => {
      const known = echoes();
      return rawHeaders.map((text) => scrubWhole(text, known, "latin1"));
    },
    scrubText: (text) => scrubWhole(text, echoes(), "utf8"),
    async refresh(name) {
      const spec = specs.find((other) => other.name === name);
      if (spec === undefined) throw new SandboxError("BAD_SECRET", `There is no secret ${name}.`, "Name one that was given.");
      return values.refresh(spec);
    },
    toJSON: () => "[secret]",
    [inspect.custom]: () => "[secret]",
  };
  return Object.freeze(secrets);
}
