import type { DialFailure } from "../places/dial.ts";
import type { Meter } from "../relay.ts";
import type { Rule } from "../rule.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { createLedger, type EgressRow } from "./ledger.ts";

/** What the run learns of its egress as it happens. */
export type EgressEvent =
  | { readonly type: "egress.allowed"; readonly host: string; readonly port: number; readonly rule: string }
  | {
      readonly type: "egress.denied";
      readonly host: string;
      readonly port: number | null;
      readonly rule: string | null;
      readonly why: string;
    }
  | { readonly type: "secret.used"; readonly name: string; readonly host: string };

export type Denial = { readonly host: string; readonly port: number | null; readonly rule: string | null; readonly why: string };
export type Use = { readonly host: string; readonly port: number; readonly rule: Rule };

/** Keeps the accounts of a run's egress, and tells of each first and each refusal. */
export type Book = {
  /** A connection, or a request of one, was refused. */
  deny(denial: Denial): void;
  /** An allowed connection begins: gives the account it counts in. */
  open(use: Use): EgressRow;
  /** A request is allowed. */
  request(use: Use): EgressRow;
  /** What went wrong with something that was allowed; an address that may not be connected to counts as a refusal. */
  fail(use: Use, failure: DialFailure): void;
  secretUsed(name: string, host: string): void;
  /** Counts bytes for an account, its rule and the run. */
  meter(use: Use): Meter;
  readonly bytesOut: () => number;
  rows(): readonly EgressRow[];
};

export type BookOptions = {
  /** Bytes out of the whole run. */
  readonly total: ByteBudget;
  readonly onEvent: (event: EgressEvent) => void;
  /** The budget of the run is used up. */
  readonly onLimit: () => void;
};

/** More refusals of one kind than this are counted and not told one by one. */
const MOST_EVENTS = 100;

export function createBook({ total, onEvent, onLimit }: BookOptions): Book {
  const ledger = createLedger();

  function rowOf({ host, port, rule }: Use): EgressRow {
    return ledger.row({ host, port, rule: rule.text, decision: "allowed" });
  }

  function deny({ host, port, rule, why }: Denial): void {
    const row = ledger.row({ host, port, rule, decision: "denied" });
    row.why = why;
    row.connections += 1;
    if (row.connections <= MOST_EVENTS) onEvent({ type: "egress.denied", host, port, rule, why });
  }

  function meter(use: Use): Meter {
    const row = rowOf(use);
    const { host, port, rule } = use;
    return {
      out(bytes) {
        if (!rule.bytes.take(bytes)) {
          deny({ host, port, rule: rule.text, why: "the rule's bytes are used up" });
          return false;
        }
        if (!total.take(bytes)) {
          onLimit();
          return false;
        }
        row.bytesOut += bytes;
        return true;
      },
      in(bytes) {
        row.bytesIn += bytes;
        return true;
      },
    };
  }

  return {
    deny,
    open(use) {
      const row = rowOf(use);
      row.connections += 1;
      if (row.connections <= MOST_EVENTS) onEvent({ type: "egress.allowed", host: use.host, port: use.port, rule: use.rule.text });
      return row;
    },
    request(use) {
      const row = rowOf(use);
      row.requests += 1;
      return row;
    },
    fail(use, { kind, why }) {
      if (kind === "address-denied") deny({ host: use.host, port: use.port, rule: use.rule.text, why });
      else rowOf(use).why = why;
    },
    secretUsed: (name, host) => onEvent({ type: "secret.used", name, host }),
    meter,
    bytesOut: () => total.used,
    rows: () => ledger.rows(),
  };
}
