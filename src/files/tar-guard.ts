import { BLOCK, paddingOf } from "./tar-header.ts";
import { type ArchiveLimits, createJudge, type Expected, type GuardedEntry } from "./tar-judge.ts";

/** The archive is not what was agreed; nothing behind `offset` can be trusted. */
export class ArchiveViolation extends Error {
  override readonly name = "ArchiveViolation";
  /** Bytes from the beginning of the archive. */
  readonly offset: number;

  constructor(sentence: string, offset: number) {
    super(`${sentence} (at byte ${offset} of the archive)`);
    this.offset = offset;
  }
}

/**
 * Passes a tar archive on as far as it is one that a well-behaved guest sends: ustar headers of regular files, directories, symbolic links, devices and
 * FIFOs with a right checksum, before each at most one pax `x` header with `path` and `linkpath`, two zero blocks, nothing more. `onEntry` is told
 * of each entry before its bytes are passed on. No header is passed on before it was judged, and at most one header is held. Throws `ArchiveViolation`.
 */
export async function* guardTar(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
  onEntry: (entry: GuardedEntry) => void,
): AsyncGenerator<Uint8Array> {
  const guard = createGuard(limits, onEntry);
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const { taken, passed } = guard.take(chunk.subarray(at));
      at += taken;
      if (passed !== undefined) yield passed;
    }
  }
  guard.end();
}

type Step = { readonly taken: number; readonly passed: Uint8Array | undefined };

/** Cuts the archive into headers, which are held until they are judged, and content, which passes as it comes. */
function createGuard(limits: ArchiveLimits, onEntry: (entry: GuardedEntry) => void) {
  let expected: Expected = { kind: "header" };
  let held = Buffer.alloc(BLOCK);
  let filled = 0;
  let contentLeft = 0;
  let offset = 0;

  function fail(sentence: string): never {
    throw new ArchiveViolation(sentence, offset);
  }

  const judge = createJudge(limits, { onEntry, fail });

  function expectNext(next: Expected): void {
    expected = next;
    contentLeft = next.kind === "content" ? next.size + paddingOf(next.size) : 0;
    held = Buffer.alloc(next.kind === "pax" ? next.size + paddingOf(next.size) : BLOCK);
    filled = 0;
  }

  function takeHeld(chunk: Uint8Array): Step {
    const piece = chunk.subarray(0, held.length - filled);
    held.set(piece, filled);
    filled += piece.length;
    if (filled < held.length) return { taken: piece.length, passed: undefined };
    const whole = held;
    expectNext(expected.kind === "pax" ? judge.pax(whole.subarray(0, expected.size)) : judge.header(whole));
    return { taken: piece.length, passed: whole };
  }

  function takeContent(chunk: Uint8Array): Step {
    const piece = chunk.subarray(0, contentLeft);
    contentLeft -= piece.length;
    if (contentLeft === 0) expectNext({ kind: "header" });
    return { taken: piece.length, passed: piece };
  }

  return {
    take(chunk: Uint8Array): Step {
      if (expected.kind === "nothing") fail("it goes on behind its end");
      const step = expected.kind === "content" ? takeContent(chunk) : takeHeld(chunk);
      offset += step.taken;
      return step;
    },
    end(): void {
      if (expected.kind !== "nothing") fail("it ends early");
    },
  };
}
