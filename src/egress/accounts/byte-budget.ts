export type ByteBudget = {
  /** Whether these bytes still fit. Once some did not, nothing does. */
  take(bytes: number): boolean;
  /** The bytes that were allowed; never more than the limit. */
  readonly used: number;
  readonly exceeded: boolean;
};

/** Counts bytes up to and including `limit`; without one it only counts. */
export function createByteBudget(limit: number | undefined): ByteBudget {
  let used = 0;
  let exceeded = false;
  return {
    take(bytes) {
      if (!exceeded) exceeded = used + bytes > (limit ?? Number.POSITIVE_INFINITY);
      if (!exceeded) used += bytes;
      return !exceeded;
    },
    get used() {
      return used;
    },
    get exceeded() {
      return exceeded;
    },
  };
}
