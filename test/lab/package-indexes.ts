import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { tempDirectory } from "./temp-directory.ts";

const WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    info = "greeting-1.0.dist-info"
    wheel.writestr("greeting.py", "TEXT = 'hello from a wheel'\\n")
    wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: greeting\\nVersion: 1.0\\n")
    wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "/RECORD", "greeting.py,,\\n" + "".join(f"{info}/{name},,\\n" for name in ("METADATA", "WHEEL", "RECORD")))
`;

/** A package index for pip (PEP 503) with one package, `greeting`. */
export async function pipIndex(): Promise<RequestListener> {
  await using directory = await tempDirectory();
  const file = "greeting-1.0-py3-none-any.whl";
  await promisify(execFile)("python3", ["-c", WHEEL, directory.join(file)]);
  const wheel = await readFile(directory.join(file));
  return (request, response) => {
    if (request.url === "/simple/greeting/") response.setHeader("Content-Type", "text/html").end(`<a href="/files/${file}">${file}</a>`);
    else if (request.url === `/files/${file}`) response.end(wheel);
    else response.writeHead(404).end();
  };
}

/** A registry for npm with one package, `greeting`. */
export async function npmRegistry(): Promise<RequestListener> {
  const archive = pack();
  archive.entry({ name: "package/package.json" }, JSON.stringify({ name: "greeting", version: "1.0.0", main: "index.js" }));
  archive.entry({ name: "package/index.js" }, 'module.exports = "hello from a tarball";\n');
  archive.finalize();
  const tarball = gzipSync(await buffer(archive));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  return (request, response) => {
    const dist = { tarball: `https://${request.headers.host ?? ""}/greeting/-/greeting-1.0.0.tgz`, integrity };
    const version = { name: "greeting", version: "1.0.0", dist };
    const packument = { name: "greeting", "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } };
    if (request.url === "/greeting") response.setHeader("Content-Type", "application/json").end(JSON.stringify(packument));
    else if (request.url === "/greeting/-/greeting-1.0.0.tgz") response.end(tarball);
    else response.writeHead(404).end();
  };
}
