/** What happened between the sandbox and one port of one host under one rule. `rule` is as it was written; bytes are those of the task. */
export type EgressRow = {
  readonly host: string;
  readonly port: number | null;
  readonly rule: string | null;
  readonly decision: "allowed" | "denied";
  /** Why it was denied, or what went wrong with what was allowed. */
  why: string | null;
  connections: number;
  requests: number;
  bytesOut: number;
  bytesIn: number;
};

export type RowKey = Pick<EgressRow, "host" | "port" | "rule" | "decision">;

export type Ledger = {
  /** The row to count in; a new one has only zeros. */
  row(key: RowKey): EgressRow;
  rows(): readonly EgressRow[];
};

/** More different rows than a person reads: what comes after shares one. */
const MOST_ROWS = 1_000;

export function createLedger(): Ledger {
  const rows = new Map<string, EgressRow>();

  function add(id: string, key: RowKey): EgressRow {
    const row = { ...key, why: null, connections: 0, requests: 0, bytesOut: 0, bytesIn: 0 };
    rows.set(id, row);
    return row;
  }

  return {
    row(key) {
      const id = idOf(key);
      const known = rows.get(id);
      if (known !== undefined) return known;
      if (rows.size < MOST_ROWS) return add(id, key);
      const others = { ...key, host: "(others)", port: null, rule: null };
      return rows.get(idOf(others)) ?? add(idOf(others), others);
    },
    rows: () => [...rows.values()],
  };
}

function idOf({ host, port, rule, decision }: RowKey): string {
  return JSON.stringify([host, port, rule, decision]);
}
