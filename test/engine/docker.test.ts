import { askEngine, dockerCli, engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { packRootfs } from "../lab/rootfs.ts";
import { engineContract } from "./contract.ts";

const VOLUME_IMAGE = "sandbox-test/engine-volume";

engineContract("docker", async () => {
  const tar = await packRootfs([{ path: "Dockerfile", content: `FROM ${TEST_IMAGES.busybox}\nVOLUME /data\n` }]);
  const built = await askEngine({ method: "POST", path: `/build?t=${VOLUME_IMAGE}`, tar });
  if (built.status !== 200) throw new Error(`The image with a volume could not be built: ${JSON.stringify(built.body)}`);
  return {
    host: `unix://${engineSocket()}`,
    imageRef: TEST_IMAGES.busybox,
    volumeImageRef: VOLUME_IMAGE,
    async inventory() {
      const [containers, volumes] = await Promise.all([
        dockerCli(["ps", "-a", "--format", "{{.Names}}"]),
        dockerCli(["volume", "ls", "-q"]),
      ]);
      return lines(containers + volumes);
    },
    cli: dockerCli,
    async [Symbol.asyncDispose]() {
      await dockerCli(["rmi", "-f", VOLUME_IMAGE]);
    },
  };
});

function lines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}
