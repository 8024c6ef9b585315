import type { Refusal } from "./scan-workspace.ts";
import { showName } from "./visible-name.ts";

/** A list of refusals that a hostile archive can't make long. */
export type Refusals = {
  /** Adds one; the path is made harmless and shortened here. */
  add(path: string, why: string): void;
  list(): readonly Refusal[];
};

export function createRefusals(): Refusals {
  const listed: Refusal[] = [];
  let more = 0;
  return {
    add(path, why) {
      if (listed.length < MAX_LISTED) listed.push({ path: shorten(showName(path)), why });
      else more += 1;
    },
    list: () => (more === 0 ? listed : [...listed, { path: ".", why: `${more} more refusals are not listed` }]),
  };
}

/** What the name of a Linux error number means for something that could not be read inside; any other text stays as it is, made harmless. */
export function explainNote(why: string): string {
  return NOTES.get(why) ?? showName(why);
}

const NOTES = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "it can't be read inside"],
  ["EPERM", "it can't be read inside"],
  ["ENAMETOOLONG", "its path is too long"],
  ["ELOOP", "it lies too deep"],
]);
const MAX_LISTED = 1000;
const MAX_SHOWN = 1024;

function shorten(path: string): string {
  return path.length <= MAX_SHOWN ? path : `${path.slice(0, MAX_SHOWN)}…`;
}
