import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Hosts } from "../../../rehearsal/hosts/index.ts";
import { type Bench, bench, makeKey } from "./world.ts";

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.close());

describe("a server that a cloud made", () => {
  test("runs commands on its own files, with input, output and exit code", async () => {
    const host = await b.boot(1);
    b.sshConfig([host]);
    const { code, stdout, stderr } = await b.ssh(
      "builder-1",
      "cat > /etc/note; cat /etc/note; echo why >&2; exit 7",
      "hello",
    );
    expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: "hello", stderr: "why\n" });
    expect(readFileSync(join(host.root, "etc/note"), "utf8")).toBe("hello");
    expect(existsSync("/etc/note")).toBe(false);
  });

  test("tells of its hardware, not of this machine", async () => {
    const views = [
      await b.boot(1),
      await b.boot(2, { serverType: "cax11" }),
      await b.boot(3, { provider: "digitalocean", serverType: "s-2vcpu-4gb" }),
    ];
    b.sshConfig(views);
    const facts =
      "awk '/MemTotal/ {print $2 / 1024}' /proc/meminfo; uname -m; ls /dev/kvm; test -b /dev/sda && echo sda; test -b /dev/vda && echo vda; lsblk -dno PATH";
    const told = await Promise.all(
      views.map(async ({ name }) => (await b.ssh(name, facts)).stdout.trim().split("\n")),
    );
    expect(told).toEqual([
      ["8192", "x86_64", "sda", "/dev/sda"],
      ["4096", "aarch64", "sda", "/dev/sda"],
      ["4096", "x86_64", "/dev/kvm", "vda", "/dev/vda"],
    ]);
  });

  test("shows the key and lets in the users of its user data, and nobody else", async () => {
    const key = makeKey();
    const indented = key.privateKey.trim().replaceAll("\n", "\n    ");
    const host = await b.boot(1, {
      sshKeys: [],
      userData: `#cloud-config\nssh_keys:\n  ed25519_private: |\n    ${indented}\n  ed25519_public: ${key.publicKey}\nssh_authorized_keys:\n  - ${b.publicKey}\n`,
    });
    expect(host.hostKey).toBe(key.publicKey.trim());
    b.sshConfig([host]);
    expect((await b.ssh("builder-1", "id -u")).stdout).toBe("0\n");

    const stranger = makeKey();
    writeFileSync(b.file("key"), stranger.privateKey);
    expect((await b.ssh("builder-1", "id")).stderr).toContain("Permission denied (publickey)");
  });

  test("loses /run at a reboot and keeps the rest", async () => {
    const host = await b.boot(1);
    b.sshConfig([host]);
    const before = await b.ssh(
      "builder-1",
      "cat /proc/sys/kernel/random/boot_id; echo x > /run/gone; echo x > /var/kept; nohup reboot >/dev/null 2>&1 &",
    );
    await expect
      .poll(async () => (await b.ssh("builder-1", "cat /proc/sys/kernel/random/boot_id")).stdout, {
        timeout: 5000,
      })
      .toMatch(new RegExp(`^(?!${before.stdout.trim()}).+`));
    expect((await b.ssh("builder-1", "ls /run /var/kept")).stdout).toBe("/var/kept\n\n/run:\n");
  });

  test("answers nobody while the provider has switched it off", async () => {
    b.sshConfig([await b.boot(1)]);
    await b.hosts.power("1", false);
    expect((await b.ssh("builder-1", "true")).code).toBe(255);
    await b.hosts.power("1", true);
    expect((await b.ssh("builder-1", "true")).code).toBe(0);
  });

  test("is gone when it is removed", async () => {
    const host = await b.boot(1);
    b.sshConfig([host]);
    await b.hosts.remove("1");
    await b.hosts.remove("1");
    expect(existsSync(host.root)).toBe(false);
    expect((await b.ssh("builder-1", "true")).stderr).toContain("timed out");
  });
});

test("a world that was closed goes on where it was", async () => {
  const host = await b.boot(1);
  b.sshConfig([host]);
  await b.ssh("builder-1", "echo x > /run/kept");
  await b.hosts.close();
  expect((await b.ssh("builder-1", "true")).stderr).toContain("Connection refused");

  const again = new Hosts(b.world, {
    connectRunner: async () => ({ id: "1" }),
    disconnectRunner: async () => {},
  });
  await again.resume();
  try {
    expect((await b.ssh("builder-1", "cat /run/kept")).stdout).toBe("x\n");
  } finally {
    await again.close();
  }
});

describe("faults", () => {
  const inject = (kind: string) => b.world.save("faults", { "host:builder-1": { kind, times: 1 } });

  test("refuse, drop and vanish look like the real thing", async () => {
    b.sshConfig([await b.boot(1)]);
    inject("refuse");
    expect((await b.ssh("builder-1", "true")).stderr).toContain(
      "connect to host 203.0.113.1 port 22: Connection refused",
    );
    inject("drop");
    const dropped = await b.ssh("builder-1", "echo started; sleep 0.5; echo x > /run/finished");
    expect(dropped.code).toBe(255);
    inject("vanish");
    expect((await b.ssh("builder-1", "true")).stderr).toContain("timed out");
    expect((await b.ssh("builder-1", "true")).stderr).toContain("timed out");
    inject("back");
    expect((await b.ssh("builder-1", "cat /run/finished")).stdout).toBe("x\n");
  });

  test("every command is recorded by its first line, its input never", async () => {
    b.sshConfig([await b.boot(1)]);
    await b.ssh("builder-1", "cat >/dev/null\n: second line", "s3cret");
    const calls = readFileSync(join(b.world.dir, "calls.jsonl"), "utf8");
    expect(calls).toContain('"part":"ssh builder-1","call":"cat >/dev/null"');
    expect(calls).not.toMatch(/s3cret|second line/);
  });
});
