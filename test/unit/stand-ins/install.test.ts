import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { HostView } from "../../../rehearsal/hosts/index.ts";
import { type Bench, bench, makeKey } from "../hosts/world.ts";
import { identity, kind, writeFlake } from "./flake.ts";

interface Built {
  readonly drvPath: string;
  readonly outputs: { readonly out: string };
}

let b: Bench;
let host: HostView;
let disko: string;
let toplevel: string;

beforeEach(async () => {
  b = await bench();
  host = await b.boot(1);
  writeFlake(b.file("flake"), [kind("large")]);
  const build = `path:${b.file("flake")}#nixosConfigurations."large".config.system.build`;
  const built = await b.run("nix", [
    "build",
    "--no-link",
    "--print-build-logs",
    "--json",
    `${build}.toplevel`,
    `${build}.diskoScript`,
  ]);
  const [first, second] = JSON.parse(built.stdout) as Built[];
  toplevel = first?.outputs.out ?? "";
  disko = second?.outputs.out ?? "";
});
afterEach(() => b.close());

function extraFiles(): { readonly directory: string; readonly hostKey: string } {
  const directory = b.file("extra");
  const key = makeKey();
  mkdirSync(join(directory, "etc/ssh"), { recursive: true });
  mkdirSync(join(directory, "etc/flotilla"), { recursive: true });
  writeFileSync(join(directory, "etc/ssh/ssh_host_ed25519_key"), key.privateKey, { mode: 0o600 });
  writeFileSync(join(directory, "etc/ssh/ssh_host_ed25519_key.pub"), key.publicKey);
  writeFileSync(join(directory, "etc/flotilla/install-id"), "1");
  writeFileSync(
    join(directory, "etc/flotilla/identity.json"),
    JSON.stringify(identity("builder-1", b.publicKey)),
  );
  return { directory, hostKey: key.publicKey };
}

const install = (more: readonly string[] = []) =>
  b.run("nixos-anywhere", [
    ...["-i", b.file("key"), "--ssh-option", `UserKnownHostsFile=${b.file("known_hosts")}`],
    ...["--store-paths", disko, toplevel, ...more, "--target-host", "root@203.0.113.1"],
  ]);

test("installs in the order of the real one: kexec, disko, install, reboot", async () => {
  const extra = extraFiles();
  b.sshConfig([host]);
  await b.ssh("builder-1", "echo old > /var/old-disk");
  const { code, stdout } = await install(["--extra-files", extra.directory]);
  expect(code).toBe(0);
  expect(stdout.split("\n").filter((line) => line.startsWith("###"))).toEqual([
    "### Uploading install SSH keys ###",
    "### Gathering machine facts ###",
    "### Switching system into kexec ###",
    "### Gathering machine facts ###",
    "### Formatting hard drive with disko ###",
    "### Uploading the system closure ###",
    "### Copying extra files ###",
    "### Installing NixOS ###",
    "### Rebooting ###",
    "### Waiting for the machine to become unreachable due to reboot ###",
    "### Done! ###",
  ]);

  await expect.poll(() => b.hosts.state("1")?.phase, { timeout: 5000 }).toBe("nixos");
  await b.hosts.settled();
  const installed = { ...host, hostKey: extra.hostKey };
  b.sshConfig([installed]);
  const seen = await b.ssh(
    "builder-1",
    "cat /run/current-system/flotilla-revision; echo; readlink /run/current-system; cat /etc/flotilla/install-id; ls /var/old-disk",
  );
  expect(seen.stdout).toBe(`large-revision\n${toplevel}\n1`);
  expect(seen.stderr).toContain("No such file");
  expect(b.hosts.state("1")?.wipes).toBe(1);
});

test("disko refuses to wipe a system that is not the installer", async () => {
  const { code, stderr } = await install(["--phases", "disko"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/nix-store|refuses to wipe/);
  expect(b.hosts.state("1")).toMatchObject({ phase: "ubuntu", wipes: 0 });
});

test("a machine with too little memory does not come back from kexec", async () => {
  await b.boot(2, { hardware: { memoryMib: 512 } });
  const { code } = await b.run("timeout", [
    ...["5", "nixos-anywhere", "-i", b.file("key"), "--ssh-option", "ConnectTimeout=1"],
    ...["--store-paths", disko, toplevel, "root@203.0.113.2"],
  ]);
  expect(code).toBe(124);
  expect(b.hosts.state("2")?.phase).toBe("dead");
});

test("a connection that is cut while NixOS is installed fails with the code of ssh, and the install can be repeated", async () => {
  const extra = extraFiles();
  b.world.save("faults", { "host:builder-1": { kind: "drop-in-install", times: 1 } });
  expect((await install(["--extra-files", extra.directory])).code).toBe(255);
  expect(b.hosts.state("1")?.phase).toBe("installer");
  expect((await install(["--extra-files", extra.directory])).code).toBe(0);
  await expect.poll(() => b.hosts.state("1")?.phase, { timeout: 5000 }).toBe("nixos");
});

test("an unreachable target is tried for ever", async () => {
  const { code } = await b.run("timeout", [
    ...["3", "nixos-anywhere", "-i", b.file("key"), "--ssh-option", "ConnectTimeout=1"],
    ...["--store-paths", disko, toplevel, "root@198.51.100.1"],
  ]);
  expect(code).toBe(124);
});

test("store paths that do not exist are refused before any connection", async () => {
  const { code, stderr } = await b.run("nixos-anywhere", [
    "--store-paths",
    "/nix/store/a",
    "/nix/store/b",
    "root@203.0.113.1",
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain("aborted: /nix/store/a and /nix/store/b must be existing store-paths");
  expect(readFileSync(join(b.world.dir, "calls.jsonl"), "utf8")).not.toContain('"ssh ');
});
