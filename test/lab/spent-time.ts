/** Milliseconds of CPU that this process has spent since `start`, as `process.cpuUsage()` gives it: unlike the clock's, no matter of what else the machine does. */
export function spentMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
