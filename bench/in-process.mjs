import { againstDockerExec, docker, POSTURE } from "../scripts/bench-peer.mjs";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TIMEOUT_MS = 300;

function firstByte({ image, product }) {
  const { resolveTask, runTask, engine } = product;
  const task = resolveTask({ image, command: ["printf", "x"] });
  return {
    a: {
      name: "in-process run of printf",
      run: async () => {
        let output = "";
        const take = (_stream, piece) => {
          output += piece;
        };
        const result = await runTask(task, { engine, keepOutput: false, onOutput: take });
        if (output !== "x" || !result.destroyed)
          throw new Error(`The run gave ${JSON.stringify(output)}: ${result.detail} ${result.proof}`);
      },
    },
    b: {
      name: "docker run, same posture, printf",
      run: async () => {
        const output = await docker("run", "--rm", ...POSTURE, image, "printf", "x");
        if (output !== "x") throw new Error(`docker run gave ${JSON.stringify(output)}`);
      },
    },
  };
}

function secondCommand({ image, product }) {
  return againstDockerExec(image, async () => {
    const { session, close } = await product.openSandbox({ image, command: ["true"] });
    return { name: "exec of true in a live sandbox", run: () => execTrue(session), close };
  });
}

async function execTrue(session) {
  const command = session.exec({ argv: ["true"], env: { PATH }, cwd: "/", stdin: false, terminal: undefined });
  command.stdout.resume();
  command.stderr.resume();
  await command.started;
  const { code } = await command.exited;
  if (code !== 0) throw new Error(`true ended with status ${code}`);
}

/** Until the guest has said that the command is reaped and that nothing else is left: a little more than the overshoot itself. */
function timeoutOvershoot({ image, product }) {
  const { resolveTask, runTask, engine } = product;
  const task = resolveTask({ image, command: ["sleep", "60"], timeout: `${TIMEOUT_MS}ms` });
  const run = async () => {
    const at = {};
    const note = ({ type }) => {
      at[type] = performance.now();
    };
    const { reason, exit } = await runTask(task, { engine, keepOutput: false, onEvent: note });
    if (reason !== "timeout" || exit.signal !== "SIGTERM") throw new Error(`The run ended by ${reason} and ${JSON.stringify(exit)}`);
    return at["exec.exited"] - at["exec.started"] - TIMEOUT_MS;
  };
  return { a: { name: `--timeout ${TIMEOUT_MS}ms -- sleep 60`, run } };
}

export const benchmarks = [
  {
    name: "first-byte",
    what: "in-process: create, first byte, destroyed",
    target: { of: "ratio", atMost: 0.65 },
    open: firstByte,
  },
  {
    name: "second-command",
    what: "second command, round trip",
    target: { of: "ratio", atMost: 0.1 },
    open: secondCommand,
  },
  {
    name: "timeout-overshoot",
    what: "timeout overshoot",
    pairs: 50,
    target: { of: "p99", atMost: 100 },
    open: timeoutOvershoot,
  },
];
