import { stringify } from "yaml";

/** One rule as a task file holds it; what is empty is left out. */
export type RuleToWrite = {
  readonly host: string;
  readonly port: number;
  readonly address: string | undefined;
  readonly allowPrivate: boolean;
  readonly methods: readonly string[];
  readonly paths: readonly string[];
};

/** A task file with these rules and nothing else. Stars that stand in paths as they are can't be told from patterns: such a path is covered more widely. */
export function writeTaskFile(rules: readonly RuleToWrite[]): string {
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
