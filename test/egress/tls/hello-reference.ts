/** A second reader of ClientHellos that shares nothing with the first: it looks at the whole bytes at once, and cuts them with `cut`. */
export type Reference =
  | "more"
  | "refused"
  | { readonly serverName: string | undefined; readonly alpn: readonly string[]; readonly encrypted: boolean };

export function referenceHello(bytes: Buffer): Reference {
  let message = Buffer.alloc(0);
  for (let rest = bytes; rest.length > 0; ) {
    if (rest[0] !== 22 || (rest.length > 1 && rest[1] !== 3)) return "refused";
    if (rest.length < 5) return "more";
    const length = rest.readUInt16BE(3);
    if (length === 0 || length > 16_384) return "refused";
    message = Buffer.concat([message, rest.subarray(5, 5 + length)]);
    if (message.length > 0 && message[0] !== 1) return "refused";
    const missing = 5 + length - rest.length;
    rest = rest.subarray(5 + length);
    if (message.length < 4) continue;
    const whole = 4 + message.readUIntBE(1, 3);
    if (whole > 65_536 || message.length > whole || (message.length === whole && missing > 0)) return "refused";
    if (message.length === whole) return referenceBody(message.subarray(4)) ?? "refused";
  }
  return "more";
}

/** The bytes behind a length of `size` bytes, and the rest. */
function cut(bytes: Buffer | undefined, size: number): readonly [Buffer, Buffer] | undefined {
  if (bytes === undefined || bytes.length < size) return undefined;
  const end = size + bytes.readUIntBE(0, size);
  return bytes.length < end ? undefined : [bytes.subarray(size, end), bytes.subarray(end)];
}

/** The only thing behind a length that reaches to the end. */
function only(bytes: Buffer | undefined, size: number): Buffer | undefined {
  const parts = cut(bytes, size);
  return parts?.[1].length === 0 ? parts[0] : undefined;
}

function referenceBody(body: Buffer): Reference | undefined {
  if (body.length < 34 || body[0] !== 3) return undefined;
  const session = cut(body.subarray(34), 1);
  const suites = cut(session?.[1], 2);
  const compression = cut(suites?.[1], 1);
  if (session === undefined || suites === undefined || compression === undefined) return undefined;
  if (session[0].length > 32 || suites[0].length < 2 || suites[0].length % 2 !== 0 || !compression[0].includes(0)) return undefined;
  const extensions = compression[1].length === 0 ? Buffer.alloc(0) : only(compression[1], 2);
  return extensions === undefined ? undefined : referenceExtensions(extensions);
}

function referenceExtensions(bytes: Buffer): Reference | undefined {
  const found: (readonly [number, Buffer])[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const parts = rest.length < 2 ? undefined : cut(rest.subarray(2), 2);
    if (parts === undefined) return undefined;
    found.push([rest.readUInt16BE(0), parts[0]]);
    rest = parts[1];
  }
  const byType = new Map(found);
  if (byType.size < found.length) return undefined;
  const [name, protocols] = [byType.get(0), byType.get(16)];
  const serverName = name === undefined ? undefined : referenceName(name);
  const alpn = protocols === undefined ? [] : referenceProtocols(protocols);
  if ((name !== undefined && serverName === undefined) || alpn === undefined) return undefined;
  return { serverName, alpn, encrypted: byType.has(0xfe0d) };
}

function referenceName(data: Buffer): string | undefined {
  const list = only(data, 2);
  const text = list?.[0] === 0 ? only(list.subarray(1), 2)?.toString("latin1").toLowerCase() : undefined;
  if (text === undefined || text.length > 253 || /[^a-z0-9_.-]/.test(text)) return undefined;
  const labels = text.split(".");
  if (labels.some((label) => label === "" || label.length > 63 || label.startsWith("-") || label.endsWith("-"))) return undefined;
  return /(^|\.)([0-9]+|0x[0-9a-f]*)$/.test(text) ? undefined : text;
}

function referenceProtocols(data: Buffer): readonly string[] | undefined {
  const protocols: string[] = [];
  let rest = only(data, 2);
  if (rest?.length === 0) return undefined;
  while (rest !== undefined && rest.length > 0) {
    const parts = cut(rest, 1);
    if (parts === undefined || parts[0].length === 0) return undefined;
    protocols.push(parts[0].toString("latin1"));
    rest = parts[1];
  }
  return rest === undefined ? undefined : protocols;
}
