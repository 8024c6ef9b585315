/** From the request to the first byte of output, in milliseconds; what comes after it is waited for and not counted. */
async function untilFirstByte({ resolveTask, runTask }, { engine, image }) {
  const started = performance.now();
  let first;
  const take = () => {
    first ??= performance.now();
  };
  const task = resolveTask({ image, command: ["printf", "x"] });
  const { reason, destroyed, detail } = await runTask(task, { engine, keepOutput: false, onOutput: take });
  if (reason !== "completed" || !destroyed || first === undefined) throw new Error(`The run ended by ${reason}: ${detail}`);
  return first - started;
}

/** One container waits at the beginning of each measurement; the next one is made after it. */
async function poolHit({ image, product }) {
  const { engine, createPool } = product;
  const pool = createPool(engine, { max: 1 });
  await untilFirstByte(product, { engine: pool, image });
  return {
    a: {
      name: "printf from a pool",
      run: async () => {
        if ((await pool.settled()) !== 1) throw new Error("No container waits in the pool.");
        return untilFirstByte(product, { engine: pool, image });
      },
    },
    b: {
      name: "printf in a new container, in-process",
      run: async () => {
        await pool.settled();
        return untilFirstByte(product, { engine, image });
      },
    },
    close: () => pool[Symbol.asyncDispose](),
  };
}

export const benchmarks = [
  {
    name: "pool-hit",
    what: "pool hit: request to first output byte",
    target: { of: "ratio", atMost: 0.1 },
    open: poolHit,
  },
];
