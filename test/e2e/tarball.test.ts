import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openMcp } from "../lab/mcp.ts";
import { installTarball, packTarball } from "../lab/packed-tarball.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const exec = promisify(execFile);

it("the packed tarball installs into an empty folder and works there under both of its names", async () => {
  await using directory = await tempDirectory();
  const where = directory.join("empty");
  await installTarball(await packTarball(directory.path), where);
  const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}` };
  for (const name of ["sandbox", "belljar"]) {
    const { stdout } = await exec(`${where}/node_modules/.bin/${name}`, ["run", "--image", TEST_IMAGES.busybox, "--", "echo", name], {
      cwd: where,
      env,
    });
    expect(stdout).toBe(`${name}\n`);
  }
  await using session = await openMcp([], { executable: `${where}/node_modules/.bin/sandbox` });
  expect(await session.ask("run_command", { argv: ["echo", "mcp"] })).toMatchObject({ stdout: { text: "mcp\n" } });
  const installed = await readdir(`${where}/node_modules/belljar`);
  expect(installed.sort()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "bin",
    "dist",
    "docs",
    "images",
    "package.json",
  ]);
});
