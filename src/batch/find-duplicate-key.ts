const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;

/** The first key that stands twice in one object of a text that `JSON.parse` has read: it takes the last one and says nothing. */
export function findDuplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let isKeyNext = false;
  for (const [token] of json.matchAll(TOKEN)) {
    const keys = open.at(-1);
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (isKeyNext && keys !== undefined && token !== ",") {
      const key = String(JSON.parse(token));
      if (keys.has(key)) return key;
      keys.add(key);
    }
    isKeyNext = token === "{" || (token === "," && keys !== undefined);
  }
  return undefined;
}
