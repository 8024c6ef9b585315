import { SandboxError } from "../../core/errors.ts";
import type { Where } from "./task-file.ts";

/** The same error with the place in the file in front of its sentence, as `FILE:LINE:COLUMN: …`; code and hint stay. */
export function at(path: string, where: Where, error: SandboxError): SandboxError {
  return new SandboxError(error.code, `${path}:${where.line}:${where.column}: ${error.message}`, error.hint, { cause: error });
}

/** One thing that is wrong. Offsets count UTF-16 units from the beginning of the file. */
export type Fault = {
  /** Where it is shown. */
  readonly offset: number;
  /** Where a reader from top to bottom knows of it, if later: that a key is missing shows at the end of its map. */
  readonly known?: number;
  /** One sentence without its full stop. */
  readonly sentence: string;
  readonly hint: string;
};

/** Keeps the first fault in file order, however many passes look for faults; of two at one place the one that was noted first. */
export type Faults = { first: Fault | undefined };

export function note(faults: Faults, fault: Fault): void {
  if (faults.first === undefined || knownAt(fault) < knownAt(faults.first)) faults.first = fault;
}

/** A word of the file within a sentence: quoted, escaped and not longer than a line. */
export function quote(text: string): string {
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  return shown.replace(HIDDEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What JSON leaves as it is although it ends a line, turns the direction of reading or does not show. In the astral planes nothing of it acts. */
const HIDDEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

function knownAt(fault: Fault): number {
  return fault.known ?? fault.offset;
}
