import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { engineSocket } from "../lab/engine-api.ts";
import { installTarball, packTarball } from "../lab/packed-tarball.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const exec = promisify(execFile);
const page = await readFile(`${ROOT}docs/sdk.md`, "utf8");
const examples = [...page.matchAll(/```ts\n(.*?)```\n\n```text\n(.*?)```/gs)].map(([, code = "", prints = ""], at) => ({
  name: `example-${at + 1}`,
  code,
  prints,
}));
const SETTINGS = {
  compilerOptions: {
    ...{ target: "es2022", module: "nodenext", lib: ["es2023", "esnext.disposable"], strict: true, exactOptionalPropertyTypes: true },
    ...{ outDir: "out", typeRoots: [`${ROOT}node_modules/@types`], types: ["node"] },
  },
  include: ["*.ts"],
};

let place: TempDirectory;
let tarball: string;

/** A program of its own in a folder of its own, which has nothing but the installed package. */
beforeAll(async () => {
  place = await tempDirectory();
  tarball = await packTarball(place.path);
  await mkdir(place.join("program"));
  await writeFile(place.join("program", "package.json"), JSON.stringify({ type: "module", private: true }));
  await installTarball(tarball, place.join("program"));
  await writeFile(place.join("program", "tsconfig.json"), JSON.stringify(SETTINGS));
  for (const { name, code } of examples) await writeFile(place.join("program", `${name}.ts`), code);
  await exec(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", "."], { cwd: place.join("program") }).catch(
    (error: unknown) => {
      throw new Error(`The examples don't compile: ${error instanceof Error && "stdout" in error ? String(error.stdout) : String(error)}`);
    },
  );
}, 120_000);

afterAll(async () => {
  await place[Symbol.asyncDispose]();
});

describe("a TypeScript program that uses the packed package", () => {
  it("has examples to be made of", () => {
    expect(examples.length).toBe(page.split("```ts\n").length - 1);
    expect(examples.length).toBeGreaterThan(5);
  });

  it.each(examples)("prints what the page says: $name", async ({ name, prints }) => {
    const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}` };
    const { stdout, stderr } = await exec(process.execPath, [`out/${name}.js`], { cwd: place.join("program"), env });
    expect({ stdout, stderr }).toEqual({ stdout: prints, stderr: "" });
  });

  it("leaves the environment of the program as it was", async () => {
    const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}` };
    const script = `import { openEngine } from "belljar";
      const engine = await openEngine();
      console.log(process.env.DOCKER_HOST);
      await engine[Symbol.asyncDispose]();`;
    const { stdout } = await exec(process.execPath, ["--input-type=module", "-e", script], { cwd: place.join("program"), env });
    expect(stdout).toBe(`${env.DOCKER_HOST}\n`);
  });
});

describe("the package", () => {
  it("offers what it did, in the words that it did", async () => {
    const declared = await readFile(`${ROOT}dist/index.d.ts`, "utf8");
    // In which files the words stand is nothing that anybody outside can see.
    const own = [...declared.matchAll(/\/\/#region src\/\S+\n(.*?)\/\/#endregion/gs)].map(([, text = ""]) => text);
    await expect(own.sort().join("\n")).toMatchFileSnapshot("sdk-surface.txt");
  });

  it("has types that every way of resolving modules finds, and a manifest without a fault", async () => {
    const types = await exec(`${ROOT}node_modules/.bin/attw`, [tarball, "--profile", "esm-only", "--no-color", "--no-emoji"]);
    expect(types.stdout).toMatch(/from ESM\)\s*│ OK \(ESM\)/);
    const { messages } = await publint({ pkgDir: place.join("program", "node_modules", "belljar"), pack: false, strict: true });
    // The executable begins with a line for /bin/sh, which starts Node.js on it.
    expect(messages.filter(({ code }) => code !== "BIN_FILE_NOT_EXECUTABLE")).toEqual([]);
    expect((await readdir(place.join("program", "node_modules"))).filter((name) => !name.startsWith("."))).toEqual(["belljar"]);
  });
});
