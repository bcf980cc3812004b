import { symlinkSync, writeFileSync } from "node:fs";
import { arch, totalmem } from "node:os";
import { describe, expect, test } from "vitest";
import { readFacts } from "../../../provider/machine-facts.ts";
import { run } from "../../../provider/process.ts";
import type { RemoteOptions, Ssh } from "../../../provider/ssh.ts";
import { refusal, useDirectory } from "./fixture.ts";

const dir = useDirectory();
const { signal } = new AbortController();

/** Answers for a host; keeps the command that it was asked with. */
function answering(stdout: string, code = 0): { ssh: Ssh; asked: string[] } {
  const asked: string[] = [];
  const remote = async (host: string, command: string) => {
    asked.push(`${host}: ${command}`);
    return { code, stdout, tail: stdout.split("\n") };
  };
  return { ssh: { remote } as unknown as Ssh, asked };
}

describe("what a machine says", () => {
  test("is read line by line", async () => {
    const { ssh } = answering(
      [
        "machine=x86_64",
        "memoryKib=4029440",
        "kvm=yes",
        "device=/dev/sda",
        "installId=2026-11",
        "kindRevision=1f3a9c",
        "identityHash=ab12",
        "approle=yes",
        "rootDevice=/dev/sda2",
        "rootFsType=ext4",
        "firmware=efi",
        "os=nixos",
        "links=enp1s0 lo ",
      ].join("\n"),
    );
    expect(await readFacts(ssh, "a", { signal, retrySeconds: 0 })).toEqual({
      machine: "x86_64",
      memoryMib: 3935,
      kvm: true,
      device: "/dev/sda",
      installId: "2026-11",
      kindRevision: "1f3a9c",
      identityHash: "ab12",
      approle: true,
      rootDevice: "/dev/sda2",
      rootFsType: "ext4",
      firmware: "efi",
      os: "nixos",
      links: "enp1s0 lo",
    });
  });

  test("may hold an equals sign, and be among lines of a login message", async () => {
    const { ssh } = answering("Welcome!\nrootDevice=/dev/disk/by-label/a=b\n");
    const facts = await readFacts(ssh, "a", { signal, retrySeconds: 0 });
    expect(facts).toMatchObject({
      rootDevice: "/dev/disk/by-label/a=b",
      machine: "",
      memoryMib: 0,
      kvm: false,
    });
  });

  test("is nothing where the question failed", async () => {
    const { ssh } = answering("sh: not found", 127);
    expect(await refusal(readFacts(ssh, "a", { signal, retrySeconds: 0 }))).toBe(
      "a did not say what it is (exit 127):\n    sh: not found",
    );
  });
});

test("the device cannot end its quotes on the machine", async () => {
  const { ssh, asked } = answering("");
  await readFacts(ssh, "a", { signal, retrySeconds: 0, device: "/dev/sda'; reboot; '" });
  expect(asked).toEqual(["a: sh -s -- '/dev/sda; reboot; '"]);
});

describe("the question", () => {
  const here = {
    remote: (_: string, command: string, options: RemoteOptions) => run("sh", ["-c", command], options),
  } as unknown as Ssh;
  const ask = (device?: string) => readFacts(here, "here", { signal, retrySeconds: 0, device });

  test("is one that any POSIX shell answers", async () => {
    const facts = await ask();
    expect(facts.machine).toBe({ x64: "x86_64", arm64: "aarch64" }[arch() as string]);
    expect(Math.abs(facts.memoryMib - totalmem() / 2 ** 20)).toBeLessThan(2);
    expect(facts.links.split(" ")).toContain("lo");
    expect(facts).toMatchObject({
      device: "",
      installId: "",
      kindRevision: "",
      identityHash: "",
      approle: false,
    });
  });

  test("follows a device's link, and says nothing of one that is not there", async () => {
    writeFileSync(dir.file("sda"), "");
    symlinkSync(dir.file("sda"), dir.file("by-id"));
    expect((await ask(dir.file("by-id"))).device).toBe(dir.file("sda"));
    expect((await ask(dir.file("missing"))).device).toBe("");
  });
});
