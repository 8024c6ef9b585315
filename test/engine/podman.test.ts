import { startPodman } from "../lab/podman.ts";
import { busyboxEntries, packRootfs } from "../lab/rootfs.ts";
import { engineContract } from "./contract.ts";

engineContract("podman", async () => {
  const lab = await startPodman();
  const rootfs = await packRootfs(await busyboxEntries());
  await lab.podman(["import", "-", "localhost/busybox:1"], rootfs);
  await lab.podman(["import", "--change", "VOLUME=/data", "-", "localhost/volume:1"], rootfs);
  return {
    host: lab.host,
    imageRef: "localhost/busybox:1",
    volumeImageRef: "localhost/volume:1",
    async inventory() {
      const listed = (await lab.podman(["ps", "-a", "--format", "{{.Names}}"])) + (await lab.podman(["volume", "ls", "-q"]));
      return listed
        .split("\n")
        .filter((line) => line !== "")
        .sort();
    },
    cli: (args) => lab.podman(args),
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
});
