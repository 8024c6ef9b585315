import { describe, expect, it } from "vitest";
import { createDemultiplexer } from "../../../src/engine/docker/demultiplex.ts";

function frame(type: number, payload: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(type, 0);
  header.writeUInt32BE(Buffer.byteLength(payload), 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

function collect(wanted = true) {
  const output: Buffer[] = [];
  const diagnostics: Buffer[] = [];
  const demultiplexer = createDemultiplexer({
    output: (bytes) => output.push(bytes) > 0 && wanted,
    diagnostics: (bytes) => void diagnostics.push(bytes),
  });
  return {
    demultiplexer,
    output: () => Buffer.concat(output).toString(),
    diagnostics: () => Buffer.concat(diagnostics).toString(),
    pieces: output,
  };
}

describe("the multiplexed stream", () => {
  const stream = Buffer.concat([frame(1, "one "), frame(2, "problem"), frame(1, ""), frame(1, "two"), frame(3, "!")]);

  it.each([1, 2, 3, 7, 8, 9, 1000])("comes apart the same in chunks of %d bytes", (size) => {
    const { demultiplexer, output, diagnostics } = collect();
    for (let at = 0; at < stream.length; at += size) demultiplexer.push(stream.subarray(at, at + size));
    demultiplexer.end();
    expect(output()).toBe("one two");
    expect(diagnostics()).toBe("problem!");
  });

  it("hands payloads on without copying them", () => {
    const { demultiplexer, pieces } = collect();
    const chunk = frame(1, "payload");
    demultiplexer.push(chunk);
    expect(pieces[0]?.buffer).toBe(chunk.buffer);
  });

  it("says when its output wants no more", () => {
    expect(collect(false).demultiplexer.push(frame(1, "x"))).toBe(false);
    expect(collect(true).demultiplexer.push(frame(1, "x"))).toBe(true);
  });

  it.each([
    ["text", Buffer.from("Hello, world")],
    ["a type that does not exist", frame(4, "x")],
    ["echoed input", frame(0, "x")],
    ["padding that is not zero", Buffer.from([1, 0, 1, 0, 0, 0, 0, 1, 65])],
  ])("refuses %s", (_name, bytes) => {
    expect(() => collect().demultiplexer.push(bytes)).toThrow(expect.objectContaining({ code: "ENGINE_LOST" }));
  });

  it.each([3, 10])("notices that it was cut off after %d bytes", (size) => {
    const { demultiplexer } = collect();
    demultiplexer.push(frame(1, "payload").subarray(0, size));
    expect(() => demultiplexer.end()).toThrow(
      expect.objectContaining({ code: "ENGINE_LOST", message: expect.stringContaining("middle of a frame") }),
    );
  });
});
