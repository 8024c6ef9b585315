import { chmod, writeFile } from "node:fs/promises";
import { compile } from "./rootfs.ts";
import { type TempDirectory, tempDirectory } from "./temp-directory.ts";

/** A directory with the compiled `programs/NAME.c` in it as `NAME`, to be mounted where any user may execute it. */
export async function openProbes(name: string): Promise<TempDirectory> {
  const directory = await tempDirectory();
  await writeFile(directory.join(name), await compile(name, ["-static"]), { mode: 0o755 });
  await chmod(directory.path, 0o755);
  return directory;
}
