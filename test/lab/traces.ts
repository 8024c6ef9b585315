import { mkdir, readdir, readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { askEngine } from "./engine-api.ts";
import { type TempDirectory, tempDirectory } from "./temp-directory.ts";

/** A process of this machine that is still the same one as long as its start time is. */
export type Process = { readonly pid: number; readonly start: string };

/** The processes whose command line contains `text`. */
export async function processesWith(text: string): Promise<readonly Process[]> {
  const found = await Promise.all(
    (await pids()).map(async (pid) => ((await commandLine(pid)).includes(text) ? await identify(pid) : undefined)),
  );
  return found.filter((process) => process !== undefined);
}

/** The processes that `pid` has started and not outlived. */
export async function childrenOf(pid: number): Promise<readonly Process[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => read(`/proc/${pid}/task/${thread}/children`)));
  const children = lists.flatMap((list) => list.trim().split(" ")).filter((child) => child !== "");
  const found = await Promise.all(children.map((child) => identify(Number(child))));
  return found.filter((process) => process !== undefined);
}

/** Whether this very process still exists; one that only waits to be reaped does not. */
export async function isAlive({ pid, start }: Process): Promise<boolean> {
  return (await identify(pid))?.start === start;
}

/** Ids of the containers whose owner is the process `pid`. */
export async function containersOfOwner(pid: number): Promise<readonly string[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`sandbox.owner.pid=${pid}`] }));
  const { body } = await askEngine({ path: `/containers/json?all=true&filters=${filters}` });
  return textsOf(body, "Id");
}

/** Names of the volumes but those of the guest, which are there for the next run. */
export async function otherVolumes(): Promise<readonly string[]> {
  return (await allVolumes()).filter((name) => !isGuestVolume(name));
}

/** Takes the guest away from the engine, so that the next run has to bring it. */
export async function removeGuestVolumes(): Promise<void> {
  const names = (await allVolumes()).filter(isGuestVolume);
  await Promise.all(names.map((name) => askEngine({ method: "DELETE", path: `/volumes/${name}` })));
}

function isGuestVolume(name: string): boolean {
  return name.startsWith("belljar-guest-");
}

async function allVolumes(): Promise<readonly string[]> {
  const { body } = await askEngine({ path: "/volumes" });
  return textsOf(typeof body === "object" && body !== null && "Volumes" in body ? body.Volumes : [], "Name");
}

/** The state of a container in the engine's word, or `undefined` when there is none of that name. */
export async function stateOf(container: string): Promise<string | undefined> {
  const { status, body } = await askEngine({ path: `/containers/${container}/json` });
  if (status !== 200 || typeof body !== "object" || body === null || !("State" in body)) return undefined;
  const state = body.State;
  return typeof state === "object" && state !== null && "Status" in state ? String(state.Status) : undefined;
}

/** A directory for one run, with a place for its results and one for its temporary files of every kind. */
export async function openRunPlace(): Promise<TempDirectory> {
  const place = await tempDirectory();
  await mkdir(place.join("tmp"));
  await mkdir(place.join("results"));
  return place;
}

/** Files in the place of a run that nobody asked for: all but its results in `out`. */
export async function strayFiles(place: TempDirectory): Promise<readonly string[]> {
  const [temporary, results] = await Promise.all([readdir(place.join("tmp")), readdir(place.join("results"))]);
  return [...temporary, ...results.filter((name) => name !== "out")];
}

/** Looks again and again until nothing is left; answers what is left after `milliseconds`. */
export async function leftAfter(milliseconds: number, look: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const left = await look();
    if (left.length === 0 || performance.now() >= deadline) return left;
    await pause(50);
  }
}

function textsOf(list: unknown, key: string): readonly string[] {
  const entries: readonly unknown[] = Array.isArray(list) ? list : [];
  const texts = entries.map((entry): unknown => (typeof entry === "object" && entry !== null ? Reflect.get(entry, key) : undefined));
  return texts.filter((text) => typeof text === "string").sort();
}

async function pids(): Promise<readonly number[]> {
  return (await readdir("/proc")).map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
}

async function commandLine(pid: number): Promise<string> {
  return (await read(`/proc/${pid}/cmdline`)).replaceAll("\0", " ");
}

/** Fields 3 and 22 of `/proc/<pid>/stat` (proc(5)): the state and the start time. */
async function identify(pid: number): Promise<Process | undefined> {
  const stat = await read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  const start = fields[19];
  return start === undefined || state === "Z" || state === "X" ? undefined : { pid, start };
}

async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
