import { violation } from "./violation.ts";

/** What the kernel counted for this container, as far as it offers it. Memory and disk in bytes, times in milliseconds. */
export type GuestStats = {
  readonly memory: {
    readonly current?: number;
    readonly peak?: number;
    readonly limit?: number;
    readonly limitReached?: number;
    readonly oomKills?: number;
  };
  readonly pids: { readonly current?: number; readonly peak?: number; readonly limit?: number; readonly refused?: number };
  readonly cpu: { readonly usedMs?: number; readonly throttledPeriods?: number; readonly throttledMs?: number };
  readonly io: { readonly readBytes?: number; readonly writtenBytes?: number };
  /** One for each watched directory, in the order in which they were named. */
  readonly disks: readonly DiskStats[];
};

export type DiskStats = {
  readonly usedBytes?: number;
  readonly totalBytes?: number;
  readonly usedInodes?: number;
  readonly totalInodes?: number;
  readonly peakBytes?: number;
  readonly peakInodes?: number;
};

const ENTRY_BYTES = 12;
const DISK_KEYS = new Map<number, keyof DiskStats>([
  [14, "usedBytes"],
  [15, "totalBytes"],
  [16, "usedInodes"],
  [17, "totalInodes"],
  [18, "peakBytes"],
  [19, "peakInodes"],
]);

/** Reads a `STATS` payload; unknown keys are skipped, so that a newer guest can say more. */
export function decodeStats(payload: Buffer, watched: number): GuestStats {
  if (payload.length % ENTRY_BYTES !== 0) throw violation(`STATS of ${payload.length} bytes`);
  const values = new Map<number, number>();
  const disks = Array.from({ length: watched }, (): { -readonly [Key in keyof DiskStats]: DiskStats[Key] } => ({}));
  for (let at = 0; at < payload.length; at += ENTRY_BYTES) {
    const key = payload.readUInt16BE(at);
    const value = Number(payload.readBigUInt64BE(at + 4));
    const diskKey = DISK_KEYS.get(key);
    const disk = disks[payload.readUInt16BE(at + 2)];
    if (diskKey === undefined) values.set(key, value);
    else if (disk !== undefined) disk[diskKey] = value;
  }
  const number = <Name extends string>(name: Name, key: number, divisor = 1): { [Key in Name]?: number } => {
    const value = values.get(key);
    return value === undefined ? {} : ({ [name]: value / divisor } as { [Key in Name]?: number });
  };
  return {
    memory: {
      ...number("current", 1),
      ...number("peak", 2),
      ...number("limit", 3),
      ...number("oomKills", 4),
      ...number("limitReached", 20),
    },
    pids: { ...number("current", 5), ...number("peak", 6), ...number("limit", 7), ...number("refused", 8) },
    cpu: { ...number("usedMs", 9, 1000), ...number("throttledPeriods", 10), ...number("throttledMs", 11, 1000) },
    io: { ...number("readBytes", 12), ...number("writtenBytes", 13) },
    disks,
  };
}
