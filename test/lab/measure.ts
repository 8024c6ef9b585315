/** Runs the command behind it and says at the end of standard error the largest resident set of its processes, in KiB: for `within` of the command line. */
const PROGRAM = `
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print("largest resident set:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
`;

export const MEASURED: readonly string[] = ["python3", "-c", PROGRAM];

/** The largest resident set in MiB, from the standard error of a measured process. */
export function largestMemory(stderr: string): number {
  return Number(/largest resident set: (\d+)\n$/.exec(stderr)?.[1]) / 1024;
}
