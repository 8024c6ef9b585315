import { createClient } from "../../src/engine/docker/client.ts";
import { createImageStore } from "../../src/engine/docker/docker-images.ts";
import type { ImageStore } from "../../src/images/image-store.ts";
import { engineSocket } from "./engine-api.ts";

/** The product's image store over the tests' engine, or over the one at `socket`. */
export async function openImageStore(socket: string = engineSocket()): Promise<{ readonly store: ImageStore; readonly close: () => void }> {
  const client = await createClient({ kind: "unix", path: socket }, {});
  const store = createImageStore(client, process.arch === "arm64" ? "arm64" : "amd64");
  return { store, close: () => client.close() };
}
