import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/**
 * Counts tests into one line, `12 passed, 0 failed`, with `, 3 skipped` where some were. A file that cannot be loaded and an error
 * outside any test count as failures. The line goes to the file that `CLOSING_LINE_FILE` names, or to standard output.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const line = closingLine(modules, unhandledErrors.length);
    const file = process.env["CLOSING_LINE_FILE"];
    if (file === undefined) process.stdout.write(`${line}\n`);
    else writeFileSync(file, line);
  }
}

function closingLine(modules: readonly TestModule[], unhandled: number): string {
  const count = { passed: 0, failed: unhandled, skipped: 0 };
  for (const module of modules) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      count[state === "pending" ? "skipped" : state] += 1;
      if (state === "failed") failedHere += 1;
    }
    if (module.state() === "failed" && failedHere === 0) count.failed += 1;
  }
  return `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ""}`;
}
