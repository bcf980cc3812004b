import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { run } from "../../../provider/process.ts";
import { Ssh, Unreachable } from "../../../provider/ssh.ts";
import { Sshd } from "../../../rehearsal/hosts/sshd.ts";
import { makeKey } from "../hosts/world.ts";
import { refusal, useDirectory } from "./fixture.ts";

const dir = useDirectory();
const { signal } = new AbortController();
const quick = { signal, timeoutSeconds: 10 };
const operator = makeKey();
const hostKey = makeKey();

let ssh: Ssh;
const servers: Sshd[] = [];
beforeEach(() => {
  ssh = new Ssh(operator.privateKey);
});
afterEach(async () => {
  ssh.close();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const dirOf = (of: Ssh) => dirname(of.env.SSH_CONFIG_FILE ?? "");
const filesOf = (of: Ssh) =>
  readdirSync(dirOf(of), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** A host on loopback that says who it is, and runs commands as they are. */
async function serve(
  options: { port?: number; admits?: string; refuses?: () => boolean } = {},
): Promise<number> {
  const server = await Sshd.start({
    port: options.port,
    hostKey: hostKey.privateKey,
    authorizedKeys: () => [options.admits ?? operator.publicKey],
    receive: () => (options.refuses?.() ? "refuse" : "answer"),
    treat: () => ({ cut: "no" }),
    exec: (command) => spawn("sh", ["-c", command]),
    finished: () => undefined,
  });
  servers.push(server);
  return server.port;
}

const connectTo = (sshPort: number, hostKeys: readonly string[] = [hostKey.publicKey]) =>
  ssh.connect({ host: "builder-1", address: "127.0.0.1", sshPort, hostKeys });

/** What ssh would do, asked by the `ssh` that programs of ours find. */
async function effective(...args: string[]): Promise<Map<string, string>> {
  const { stdout } = await run("ssh", ["-G", ...args], { ...quick, env: ssh.env });
  return new Map(
    stdout.split("\n").map((line): [string, string] => {
      const at = line.indexOf(" ");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

describe("a host, by its name", () => {
  beforeEach(() =>
    ssh.connect({ host: "builder-1", address: "203.0.113.5", sshPort: 2222, hostKeys: ["key-a", "key-b"] }),
  );

  test("is reached at its address and port, as root, with limits", async () => {
    expect(Object.fromEntries(await effective("builder-1"))).toMatchObject({
      hostname: "203.0.113.5",
      port: "2222",
      user: "root",
      hostkeyalias: "builder-1",
      batchmode: "yes",
      connecttimeout: "15",
      serveraliveinterval: "15",
      serveralivecountmax: "4",
    });
  });

  test("is known by the keys that were given for it, and by nobody else's word", async () => {
    const known = join(dirOf(ssh), "known_hosts");
    expect(readFileSync(known, "utf8")).toBe("builder-1 key-a\nbuilder-1 key-b\n");
    expect(Object.fromEntries(await effective("builder-1"))).toMatchObject({
      stricthostkeychecking: "true",
      userknownhostsfile: known,
      globalknownhostsfile: "/dev/null",
      updatehostkeys: "false",
    });
  });

  test("is known anew after a second call: what was known before is forgotten", async () => {
    ssh.connect({ host: "builder-1", address: "203.0.113.6", sshPort: 22, hostKeys: ["key-c"] });
    ssh.connect({ host: "builder-2", address: "203.0.113.7", sshPort: 22, hostKeys: ["key-d"] });
    expect(readFileSync(join(dirOf(ssh), "known_hosts"), "utf8")).toBe("builder-1 key-c\nbuilder-2 key-d\n");
    expect((await effective("builder-1")).get("hostname")).toBe("203.0.113.6");
    expect((await effective("builder-2")).get("hostname")).toBe("203.0.113.7");
  });

  test("stays strict for a tool that asks otherwise, as nixos-anywhere does", async () => {
    const asked = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@builder-1"];
    const got = await effective(...asked);
    expect(got.get("stricthostkeychecking")).toBe("true");
    expect(got.get("userknownhostsfile")).toBe(join(dirOf(ssh), "known_hosts"));
    expect(got.get("hostname")).toBe("203.0.113.5");
  });

  test("is found once, by a tool that puts directories of its own before ours", async () => {
    const env = { ...ssh.env, PATH: `/nonexistent/of-the-tool:${ssh.env.PATH}` };
    const result = await run("ssh", ["-G", "builder-1"], { ...quick, env });
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining("hostname 203.0.113.5") });
  });

  test("is strict for a host that was never named, too", async () => {
    expect(
      (await effective("-o", "StrictHostKeyChecking=no", "203.0.113.99")).get("stricthostkeychecking"),
    ).toBe("true");
  });
});

describe("a command", () => {
  test("runs on the host, with input, output and exit code", async () => {
    connectTo(await serve());
    const result = await ssh.remote("builder-1", "cat; exit 4", { ...quick, input: "hello\n" });
    expect(result).toMatchObject({ code: 4, stdout: "hello" });
  });

  test("does not run on a machine that shows another key, whatever the caller asks", async () => {
    connectTo(await serve(), [makeKey().publicKey]);
    expect(await refusal(ssh.remote("builder-1", "true", quick))).toContain("Host key verification failed");
    const tool = [
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "builder-1",
      "echo in",
    ];
    expect(await run("ssh", tool, { ...quick, env: ssh.env })).toMatchObject({ code: 255, stdout: "" });
  });

  test("waits for a machine that is not there yet", async () => {
    let refused = 0;
    connectTo(await serve({ refuses: () => ++refused <= 2 }));
    expect((await ssh.remote("builder-1", "echo up", { ...quick, retrySeconds: 20 })).stdout).toBe("up");
  });

  test("does not take a machine that refuses us for one that is gone", async () => {
    connectTo(await serve(), [makeKey().publicKey]);
    const failure = await ssh.remote("builder-1", "true", quick).catch((error: unknown) => error);
    expect(failure).not.toBeInstanceOf(Unreachable);
    expect(failure).toMatchObject({
      message: expect.stringContaining("builder-1 is there, but cannot be used"),
    });
  });

  test("gives up on a machine that does not come, with ssh's own words", async () => {
    connectTo(await serve({ refuses: () => true }));
    const given = ssh.remote("builder-1", "true", { ...quick, retrySeconds: 1 });
    await expect(given).rejects.toThrow(Unreachable);
    await expect(given).rejects.toThrow(/^builder-1 does not answer over SSH:\n {4}\S/);
  });

  test("is not sent where the login is refused", async () => {
    connectTo(await serve({ admits: makeKey().publicKey }));
    expect(await refusal(ssh.remote("builder-1", "true", quick))).toContain("Permission denied");
  });

  test("stops waiting at once when it is cancelled", async () => {
    connectTo(await serve({ refuses: () => true }));
    const abort = new AbortController();
    const ended = refusal(
      ssh.remote("builder-1", "true", { ...quick, signal: abort.signal, retrySeconds: 300 }),
    );
    setTimeout(() => abort.abort(), 300);
    const start = Date.now();
    await ended;
    expect(Date.now() - start).toBeLessThan(2000);
  });
});

describe("the operator's key", () => {
  test("is in an agent of our own, and in no file", async () => {
    const { stdout } = await run("ssh-add", ["-L"], { ...quick, env: ssh.env });
    expect(stdout).toContain(operator.publicKey);
    expect(dirname(ssh.env.SSH_AUTH_SOCK ?? "")).toBe(dirOf(ssh));
    const body = operator.privateKey.split("\n")[2] ?? "";
    expect(body.length).toBeGreaterThan(40);
    for (const file of filesOf(ssh)) {
      const text = readFileSync(file, "utf8");
      expect(text).not.toContain("PRIVATE KEY");
      expect(text).not.toContain(body);
    }
    expect(JSON.stringify(ssh.env)).not.toContain(body);
  });

  test("may lack its last newline, which configuration loses easily", async () => {
    const trimmed = new Ssh(operator.privateKey.trimEnd());
    try {
      expect((await run("ssh-add", ["-L"], { ...quick, env: trimmed.env })).stdout).toContain(
        operator.publicKey,
      );
    } finally {
      trimmed.close();
    }
  });

  test("goes with the agent at the end, and the directory with it", async () => {
    const socket = ssh.env.SSH_AUTH_SOCK ?? "";
    expect(existsSync(socket)).toBe(true);
    ssh.close();
    expect(existsSync(dirOf(ssh))).toBe(false);
    expect((await run("ssh-add", ["-L"], { ...quick, env: ssh.env })).code).not.toBe(0);
  });

  test("does not outlive us, however we end", async () => {
    const source = join(import.meta.dirname, "..", "..", "..", "provider", "ssh.ts");
    const script = `import { Ssh } from ${JSON.stringify(source)};
      console.log(new Ssh(process.env.KEY).env.SSH_AUTH_SOCK); setTimeout(() => undefined, 60_000);`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
      env: { ...process.env, KEY: operator.privateKey },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(child.stdout, "data");
    const socket = String(line).trim();
    const list = () => run("ssh-add", ["-L"], { ...quick, env: { ...process.env, SSH_AUTH_SOCK: socket } });
    expect((await list()).stdout).toContain(operator.publicKey);
    child.kill("SIGKILL");
    await expect.poll(async () => (await list()).code, { timeout: 5000 }).not.toBe(0);
    rmSync(dirname(socket), { recursive: true });
  });

  test("that ssh-add does not take is refused with how to mend it, and leaves nothing behind", () => {
    vi.stubEnv("TMPDIR", dir.file("bin"));
    expect(() => new Ssh("s3cret")).toThrow(
      /^ssh-add does not take the key of flotilla:credentials\.ssh\.privateKey; /,
    );
    expect(readdirSync(dir.file("bin"))).toEqual([]);
  });

  test("that is not given leaves the operator's own agent in place", () => {
    const own = new Ssh(undefined);
    try {
      expect(own.env.SSH_AUTH_SOCK).toBe(process.env.SSH_AUTH_SOCK);
    } finally {
      own.close();
    }
  });
});

test("what is generated is for this user alone", () => {
  connectTo(22);
  expect(statSync(dirOf(ssh)).mode & 0o777).toBe(0o700);
  for (const name of ["ssh_config", "known_hosts"])
    expect(statSync(join(dirOf(ssh), name)).mode & 0o777).toBe(0o600);
});
