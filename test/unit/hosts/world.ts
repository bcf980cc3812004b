/** What the tests of hosts and stand-ins share: a world in a temporary directory and a key that may log in. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deriveHostKey, type HostKey } from "../../../fleet/host-keys.ts";
import { type BootSpec, Hosts, type HostsOptions, type HostView } from "../../../rehearsal/hosts/index.ts";
import { writeShims } from "../../../rehearsal/stand-ins/index.ts";
import { openWorld, type World } from "../../../rehearsal/world.ts";

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Bench {
  readonly world: World;
  readonly hosts: Hosts;
  readonly publicKey: string;
  /** A private file of the test, e.g. `key`. */
  file(name: string): string;
  /** Boots a server of Hetzner's; the n-th has the address 203.0.113.n. */
  boot(n: number, more?: Partial<BootSpec>): Promise<HostView>;
  /** An ssh_config that knows each host by its name, its address and its host key. */
  sshConfig(hosts: readonly HostView[]): string;
  run(
    command: string,
    args: readonly string[],
    options?: { input?: string; env?: Record<string, string> },
  ): Promise<Result>;
  /** Logs in by name through the config. */
  ssh(name: string, command: string, input?: string): Promise<Result>;
  close(): Promise<void>;
}

export function makeKey(): HostKey {
  return deriveHostKey(randomBytes(32).toString("hex"), "test", "1", "host");
}

export async function bench(options: Partial<HostsOptions> = {}): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-hosts-"));
  const world = openWorld(join(directory, "world"));
  const hosts = new Hosts(world, {
    connectRunner: async () => ({ id: "1" }),
    disconnectRunner: async () => {},
    downMillis: 50,
    ...options,
  });
  const bin = writeShims(world.dir, process.execPath);
  const file = (name: string) => join(directory, name);
  const key = makeKey();
  writeFileSync(file("key"), key.privateKey, { mode: 0o600 });

  const run: Bench["run"] = (command, args, { input = "", env = {} } = {}) =>
    new Promise((resolve) => {
      const child = spawn(command, args, {
        env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, ...env },
        stdio: ["pipe", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (chunk) => {
        stdout += chunk;
      });
      child.stderr.on("data", (chunk) => {
        stderr += chunk;
      });
      child.stdin.on("error", () => {});
      child.stdin.end(input);
      child.once("close", (code) => resolve({ code, stdout, stderr }));
    });

  return {
    world,
    hosts,
    publicKey: key.publicKey,
    file,
    run,
    boot: (n, more = {}) =>
      hosts.boot({
        id: String(n),
        name: `builder-${n}`,
        address: `203.0.113.${n}`,
        provider: "hetzner",
        serverType: "ccx13",
        sshKeys: [key.publicKey],
        ...more,
      }),
    sshConfig: (views) => {
      mkdirSync(directory, { recursive: true });
      writeFileSync(file("known_hosts"), views.map(({ name, hostKey }) => `${name} ${hostKey}\n`).join(""));
      const blocks = views.map(
        ({ name, address }) => `Host ${name}\n  HostName ${address}\n  HostKeyAlias ${name}\n`,
      );
      writeFileSync(
        file("ssh_config"),
        `${blocks.join("")}Host *\n  User root\n  IdentityFile ${file("key")}\n  IdentitiesOnly yes\n` +
          `  UserKnownHostsFile ${file("known_hosts")}\n  StrictHostKeyChecking yes\n  ConnectTimeout 1\n  BatchMode yes\n`,
      );
      return file("ssh_config");
    },
    ssh: (name, command, input) =>
      run("ssh", ["-F", file("ssh_config"), name, command], input === undefined ? {} : { input }),
    close: async () => {
      await hosts.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
