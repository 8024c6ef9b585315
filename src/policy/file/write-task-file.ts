import { stringify } from "yaml";

/** What a run used of one port of one host, as a task file will allow it; what is empty is left out there. */
export type LearnedRule = {
  readonly host: string;
  readonly port: number;
  /** The fixed address, and the permission for private ones, of the rule that allowed it. */
  readonly address: string | undefined;
  readonly allowPrivate: boolean;
  /** Empty where it did not speak HTTP. */
  readonly methods: readonly string[];
  /** Patterns that cover every path that was asked for. */
  readonly paths: readonly string[];
};

/** A task file with these rules and nothing else. Stars that stand in paths as they are can't be told from patterns: such a path is covered more widely. */
export function writeTaskFile(rules: readonly LearnedRule[]): string {
  const egress = rules.map(({ host, port, address, allowPrivate, methods, paths }) => ({
    host,
    port,
    ...(address === undefined ? {} : { address }),
    ...(allowPrivate ? { private: true } : {}),
    ...(methods.length === 0 ? {} : { methods }),
    ...(paths.length === 0 ? {} : { paths }),
  }));
  return stringify({ version: 1, egress }, { aliasDuplicateObjects: false, lineWidth: 0 });
}
