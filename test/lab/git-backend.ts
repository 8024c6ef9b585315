import { execFile, spawn } from "node:child_process";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

/** Serves the repositories below a directory as git's own server does: with `git http-backend`, a CGI program. */
export function gitBackend(directory: string): RequestListener {
  return (request, response) => void answer(directory, request, response).catch(() => response.destroy());
}

async function answer(directory: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: "1",
      REMOTE_USER: "tester",
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers["content-type"],
      CONTENT_LENGTH: request.headers["content-length"],
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"],
      GIT_PROTOCOL: request.headers["git-protocol"]?.toString(),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const [said] = await Promise.all([buffer(backend.stdout), pipeline(request, backend.stdin)]);
  const end = said.indexOf("\r\n\r\n");
  const headers = said
    .toString("latin1", 0, end)
    .split("\r\n")
    .map((line) => line.split(": ") as [string, string]);
  const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
  response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers.filter(([name]) => name !== "Status")));
  response.end(said.subarray(end + 4));
}

const run = promisify(execFile);

/** A bare repository with one commit, which holds one file; it takes pushes. */
export async function makeRepository(path: string, file: { readonly name: string; readonly text: string }): Promise<void> {
  const git = (...args: readonly string[]) => run("git", ["-C", path, ...args]);
  await run("git", ["init", "--quiet", "--bare", "--initial-branch=main", path]);
  await git("config", "http.receivepack", "true");
  const blob = await writeObject(path, ["hash-object", "-w", "--stdin"], file.text);
  const tree = await writeObject(path, ["mktree"], `100644 blob ${blob}\t${file.name}\n`);
  const commit = await writeObject(path, [...AUTHOR, "commit-tree", tree, "-m", "The only commit"], "");
  await git("update-ref", "refs/heads/main", commit);
}

const AUTHOR = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"];

async function writeObject(path: string, args: readonly string[], input: string): Promise<string> {
  const writing = run("git", ["-C", path, ...args]);
  // A program that reads nothing may be gone before it could.
  writing.child.stdin?.on("error", () => undefined);
  writing.child.stdin?.end(input);
  return (await writing).stdout.trim();
}
