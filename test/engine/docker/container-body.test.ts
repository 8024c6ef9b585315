import { describe, expect, it } from "vitest";
import { containerBody } from "../../../src/engine/docker/container-body.ts";
import { podmanBody } from "../../../src/engine/docker/podman.ts";
import { resolvePosture } from "../../../src/engine/posture.ts";
import { SMALL } from "../stand-in.ts";

const MIB = 1024 * 1024;
const volume = { name: "belljar-guest-000000000000", labels: { "sandbox.guest": "000000000000" }, mountpoint: "/volumes/guest" };

function body(mounts: readonly { source: string; target: string; writable: boolean }[] = [], runtime?: string) {
  const posture = resolvePosture({ ...SMALL, runtime, imageVolumes: [], mounts });
  return {
    posture,
    body: containerBody(posture, { imageId: "sha256:1", labels: { a: "b" }, guestVolume: volume, seccomp: "{}", keep: false }),
  };
}

describe("the create request", () => {
  it("is exactly this for the smallest task", () => {
    expect(body().body).toEqual({
      Image: "sha256:1",
      Hostname: "sandbox",
      Domainname: "",
      User: "65532:65532",
      WorkingDir: "/",
      Entrypoint: ["/.belljar/guest"],
      Cmd: [],
      Env: [],
      Labels: { a: "b" },
      Tty: false,
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      NetworkDisabled: true,
      Healthcheck: { Test: ["NONE"] },
      StopSignal: "SIGKILL",
      HostConfig: {
        AutoRemove: true,
        Init: false,
        Privileged: false,
        ReadonlyRootfs: true,
        CapAdd: [],
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges", "seccomp={}"],
        GroupAdd: [],
        NetworkMode: "none",
        IpcMode: "none",
        PidMode: "",
        UTSMode: "",
        CgroupnsMode: "private",
        Memory: 128 * MIB,
        MemorySwap: 128 * MIB,
        NanoCpus: 1_000_000_000,
        PidsLimit: 64,
        OomScoreAdj: 500,
        Ulimits: [
          { Name: "nofile", Soft: 4096, Hard: 4096 },
          { Name: "core", Soft: 0, Hard: 0 },
          { Name: "fsize", Soft: 32 * MIB, Hard: 32 * MIB },
        ],
        Sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
        Tmpfs: {
          "/workspace": "size=33554432,nr_inodes=8192,mode=0755,uid=65532,gid=65532,nosuid,nodev,exec",
          "/tmp": "size=8388608,nr_inodes=2048,mode=1777,uid=65532,gid=65532,nosuid,nodev,exec",
          "/dev/shm": "size=16777216,nr_inodes=4096,mode=1777,uid=65532,gid=65532,nosuid,nodev,noexec",
        },
        Mounts: [
          {
            Type: "volume",
            Source: "belljar-guest-000000000000",
            Target: "/.belljar",
            ReadOnly: true,
            VolumeOptions: { NoCopy: true, Labels: { "sandbox.guest": "000000000000" } },
          },
        ],
        LogConfig: { Type: "none", Config: {} },
        RestartPolicy: { Name: "no" },
      },
    });
  });

  it("mounts host paths read-only and without what is mounted below, unless they are to be written", () => {
    const mounts = [
      { source: "/srv/a", target: "/a", writable: false },
      { source: "/srv/b", target: "/b", writable: true },
    ];
    expect(body(mounts).body.HostConfig.Mounts.slice(1)).toEqual([
      { Type: "bind", Source: "/srv/a", Target: "/a", ReadOnly: true, BindOptions: { Propagation: "rprivate", NonRecursive: true } },
      { Type: "bind", Source: "/srv/b", Target: "/b", ReadOnly: false, BindOptions: { Propagation: "rprivate", NonRecursive: false } },
    ]);
  });

  it("names a runtime only when one is asked for", () => {
    expect(body([], "runsc").body.HostConfig).toMatchObject({ Runtime: "runsc" });
    expect(body().body.HostConfig).not.toHaveProperty("Runtime");
  });

  it("says to Podman what it wants said differently", () => {
    const { body: docker, posture } = body();
    expect(podmanBody(docker, { posture, volume })).toMatchObject({
      HostConfig: {
        PidMode: "private",
        UTSMode: "private",
        Ulimits: expect.arrayContaining([{ Name: "nproc", Soft: 64, Hard: 64 }]),
        Tmpfs: {
          "/workspace": "size=33554432,mode=0755,U,notmpcopyup,nosuid,nodev,exec",
          "/run": expect.stringMatching(/^ro,size=4096,/),
          "/var/tmp": expect.stringMatching(/^ro,size=4096,/),
        },
        Mounts: expect.arrayContaining([expect.objectContaining({ Source: "/volumes/guest/hosts", Target: "/etc/hosts", ReadOnly: true })]),
      },
    });
  });
});
