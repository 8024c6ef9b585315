/** `npm run quickstart`: from a fresh clone to a command in a sandbox. Needs Node.js and npm; as root on Debian or Ubuntu it installs the rest. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureEngine } from "./engine.mjs";
import { SetupError } from "./machine.mjs";
import { build, ensureCompiler, ensureDependencies, ROOT, requireNode } from "./prepare.mjs";

/** What nobody has read: it looks around, tries what it should not, and leaves one file that it was asked for. */
const TASK = `
echo "I am uid $(id -u), and I see $(ls /proc | grep -c '^[0-9]') processes."
touch /etc/owned 2>/dev/null && echo "I changed /etc." || echo "I may not change the system: $(touch /etc/owned 2>&1 | sed 's/.*: //')."
curl -sS --max-time 5 http://example.com >/dev/null 2>/tmp/err && echo "I reached the network." || echo "No network: $(cat /tmp/err)."
python3 -c 'print(sum(range(1000)))' > answer.txt && echo "I wrote answer.txt."
`;

const STEPS = [
  ["dependencies", () => ensureDependencies()],
  ["build", () => `${ensureCompiler() === "installed" ? "installed a C compiler, " : ""}${build()}`],
  ["container engine", useEngine],
  ["base image", buildBaseImage],
  ["a task in a sandbox", runTask],
];

try {
  requireNode();
  await quickstart();
} catch (error) {
  console.error(error instanceof SetupError ? `\n${error.message}` : error);
  process.exitCode = 1;
}

async function quickstart() {
  const started = Date.now();
  for (const [index, [name, step]] of STEPS.entries()) {
    console.log(`[${index + 1}/${STEPS.length}] ${name}`);
    const begun = Date.now();
    const outcome = await step();
    console.log(`      ${outcome} (${seconds(begun)})`);
  }
  console.log(`\nReady in ${seconds(started)}. Next: node bin/sandbox.js run -- bash -c 'echo hello'`);
}

async function useEngine() {
  const { host, how } = await ensureEngine({ log: say });
  process.env.DOCKER_HOST = host;
  return `${how}: ${host}`;
}

async function buildBaseImage() {
  const { status } = await sandbox(["images", "build"], { onLine: say });
  if (status !== 0)
    throw new SetupError(`The base image could not be made: \`node bin/sandbox.js images build\` ended with status ${status}.`);
  return "sandbox/base is there";
}

async function runTask() {
  const out = mkdtempSync(join(tmpdir(), "belljar-quickstart-"));
  try {
    say("$ sandbox run --json --artifact answer.txt -- bash -c '…'");
    const { status, stdout } = await sandbox(
      ["run", "--json", "--artifact", "answer.txt", "--out", join(out, "files"), "--", "bash", "-c", TASK],
      { onLine: say },
    );
    if (status !== 0) throw new SetupError(`The task ended with status ${status}:\n${stdout}`);
    showResult(JSON.parse(stdout), out);
    return "the container is gone";
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function showResult(result, out) {
  for (const line of (result.stdout.text ?? "").trimEnd().split("\n")) say(`| ${line}`);
  say(`artifact answer.txt: ${readFileSync(join(out, "files", "answer.txt"), "utf8").trim()}`);
  for (const key of ["run", "reason", "exit", "usage", "destroyed"]) say(`"${key}": ${JSON.stringify(result[key])}`);
}

/** Runs the built command line; its standard error is passed on line by line. */
function sandbox(args, { onLine }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["bin/sandbox.js", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(onLine);
    });
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout }));
  });
}

function say(line) {
  console.log(`      ${line}`);
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
