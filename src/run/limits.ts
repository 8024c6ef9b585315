import { oomKills } from "./diagnose.ts";
import type { RunRecord } from "./record.ts";
import type { RunResult } from "./result.ts";

const PAGE = 4096;
/** What starts and ends a command counts too: an average over less than this says nothing about the command. */
const SHORT_MS = 100;

/** What was allowed, what was used, and what stood in the way, from the task and the kernel's numbers. */
export function limitsOf(record: RunRecord): RunResult["limits"] {
  const { task, stats, stdout, stderr } = record;
  const { quotas } = task;
  const disk = stats?.disks[0];
  return {
    memory: {
      limit: quotas.memoryBytes,
      peak: stats?.memory.peak ?? null,
      hit: oomKills(stats) > 0 || record.ending.current()?.reason === "oom",
    },
    pids: { limit: quotas.pids, peak: stats?.pids.peak ?? null, hit: (stats?.pids.refused ?? 0) > 0 },
    disk: { limit: quotas.diskBytes, peak: disk?.peakBytes ?? disk?.usedBytes ?? null, hit: anyDiskFull(record) },
    cpu: { limit: quotas.cpus, peak: cpuPeak(record), hit: (stats?.cpu.throttledPeriods ?? 0) > 0 },
    output: { limit: quotas.outputBytes, peak: Math.max(stdout.bytes, stderr.bytes), hit: stdout.exceeded || stderr.exceeded },
    time: { limit: quotas.timeoutMs, peak: Math.round(record.wallMs), hit: record.ending.current()?.reason === "timeout" },
    egress: {
      limit: record.task.egress.rules.length === 0 ? 0 : (record.task.egress.maxBytes ?? null),
      peak: record.egress?.bytesOut() ?? 0,
      hit: record.ending.current()?.reason === "egress-limit",
    },
  };
}

export function usageOf({ stats }: RunRecord): RunResult["usage"] {
  const { readBytes, writtenBytes } = stats?.io ?? {};
  return {
    cpuMs: stats?.cpu.usedMs ?? null,
    memoryPeak: stats?.memory.peak ?? null,
    pidsPeak: stats?.pids.peak ?? null,
    ioBytes: readBytes === undefined && writtenBytes === undefined ? null : (readBytes ?? 0) + (writtenBytes ?? 0),
  };
}

/** One `limit.hit` event for each limit that stood in the way. */
export function reportLimits(record: RunRecord): void {
  for (const [limit, { hit, peak }] of Object.entries(limitsOf(record))) if (hit) record.emit({ type: "limit.hit", limit, value: peak });
}

/** A tmpfs is full when less than a page is left of its bytes, or none of its inodes. */
function anyDiskFull({ stats }: RunRecord): boolean {
  return (stats?.disks ?? []).some((disk) => {
    const bytesFull = disk.totalBytes !== undefined && (disk.peakBytes ?? disk.usedBytes ?? 0) > disk.totalBytes - PAGE;
    const inodesFull = disk.totalInodes !== undefined && (disk.peakInodes ?? disk.usedInodes ?? 0) >= disk.totalInodes;
    return bytesFull || inodesFull;
  });
}

/** CPUs used on average while the command ran. */
function cpuPeak({ stats, wallMs }: RunRecord): number | null {
  const used = stats?.cpu.usedMs;
  return used === undefined || wallMs < SHORT_MS ? null : Math.round((used / wallMs) * 1000) / 1000;
}
