import { describe, expect, it } from "vitest";
import { runCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";

/** Patterns that would mean more than their writer can know, or something other than they show. */
const UNFIT = [
  ...["*", "**", "*.", "**.", "*.*", "*.com", "**.com", "*.co.uk", "**.co.uk", "*.github.io", "*.s3.amazonaws.com", "*.xn--p1ai"],
  ...["", " ", "\t", "origin.test ", " origin.test", "ori gin.test", "origin.test\n", "origin.test\r", "origin\u00a0.test"],
  ...["ori*.test", "*origin.test", "www.*.test", "***.origin.test", ".origin.test", "origin..test", "-origin.test", "origin-.test"],
  ...["93.184.216.34", "0x5db8d822", "1572395042", "0135.0270.0330.042", "127.1", "[::1]:80", "::1", "[::1]", "10.0.0.0/8"],
  ...[
    "localhost",
    "www.localhost",
    "LOCALHOST",
    "origin。test",
    "９３.184.216.34",
    "xn--a.test",
    "user@origin.test",
    "origin.test#x",
    "%00.test",
  ],
  ...[
    "https://origin.test",
    "origin.test/",
    "origin.test/path",
    "origin.test?x",
    "origin.test:0",
    "origin.test:65536",
    "origin.test:",
    "origin.test:443:80",
  ],
  ...[
    "origin.test:0x50",
    "origin.test:8 0",
    "origin.test,",
    ",origin.test",
    "origin.test,*",
    `${"a".repeat(64)}.test`,
    `${"a.".repeat(127)}test`,
  ],
  ...[
    "name=",
    "=10.0.0.5:80",
    "name=10.0.0.5",
    "name=10.0.0.5:0",
    "name=0x7f.1:80",
    "name=host.test:80",
    "name=::1:80",
    "name=[::1]",
    "*=10.0.0.5:80",
  ],
];

describe("a rule that can't be meant", () => {
  it("does not load: the command line is refused, and nothing is started", { timeout: 60_000 }, async () => {
    const outcomes: unknown[] = [];
    for (const pattern of UNFIT) {
      const { status, stdout, stderr } = await runCli([
        "run",
        "--events",
        "--image",
        TEST_IMAGES.busybox,
        `--allow=${pattern}`,
        "--",
        "true",
      ]);
      outcomes.push({
        pattern,
        status,
        isStarted: stdout.includes("sandbox.created"),
        code: /\((BAD_\w+|USAGE)\)/.test(`${stderr}${stdout}`) || stdout.includes('"BAD_'),
      });
    }
    expect(outcomes).toEqual(UNFIT.map((pattern) => ({ pattern, status: 64, isStarted: false, code: true })));
  });
});
