import { createServer } from "node:http";
import { expect, it } from "vitest";
import { openGateFront } from "../lab/gate-front.ts";
import { serveAt } from "../lab/origins.ts";
import { readUntil } from "../lab/read-until.ts";

const NAME = "api.example.com";

it("a request whose body has not begun reaches the origin, which may answer it before", async () => {
  const server = createServer((request, response) => {
    response.end(`${request.method} before its ${request.headers["content-length"]} bytes`);
  });
  await using origin = await serveAt(NAME, "http", server);
  await using front = await openGateFront({ allow: [origin.rule] });
  const task = await front.connect({ name: NAME, port: origin.port });
  task.write(`POST /a HTTP/1.1\r\nHost: ${NAME}:${origin.port}\r\nContent-Length: 5\r\n\r\n`);
  expect(await readUntil(task, "bytes")).toContain("POST before its 5 bytes");
  task.destroy();
});
