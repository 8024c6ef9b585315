/** The programs of the egress benchmarks that not every machine has. */
import { findProgram, installPackages, isDebian, isRoot, SetupError } from "../../scripts/machine.mjs";

/** Program and Debian package. */
const PACKAGES = { tinyproxy: "tinyproxy-bin", mitmproxy: "mitmproxy", openssl: "openssl", ip: "iproute2", nsenter: "util-linux" };

/** Installs what is missing where that can be done, else throws `SetupError`. Only root can make the bridge. */
export function needPrograms(names) {
  if (names.includes("ip") && !isRoot())
    throw new SetupError("The peer of egress is a container on a bridge, which only root can make.\nRun as root.");
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  const packages = missing.map((name) => PACKAGES[name]);
  if (isRoot() && isDebian()) installPackages(packages);
  else throw new SetupError(`${missing.join(" and ")} is missing.\nOn Debian or Ubuntu run: sudo apt-get install -y ${packages.join(" ")}`);
}
