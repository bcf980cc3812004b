import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostView, RunnerConnection } from "../../../rehearsal/hosts/index.ts";
import { type Bench, bench } from "../hosts/world.ts";
import { identity, kind, writeFlake } from "./flake.ts";

let b: Bench;
let hosts: HostView[];
let config: string;
const online = new Map<string, RunnerConnection>();

/** Three machines with a NixOS of somebody else's: what adopting looks like before the first converge. */
beforeEach(async () => {
  online.clear();
  b = await bench({
    connectRunner: async (_, runner) => {
      online.set(runner.name, runner);
      return { id: runner.name };
    },
    disconnectRunner: async (_, id) => void online.delete(id),
  });
  hosts = await Promise.all(
    [1, 2, 3].map((n) =>
      b.hosts.bootExisting({
        ...{ id: String(n), name: `builder-${n}`, address: `198.51.100.${n}`, system: "nixos" },
        sshKeys: [b.publicKey],
      }),
    ),
  );
  config = b.sshConfig(hosts);
});
afterEach(() => b.close());

function flake(address = "http://127.0.0.1:1", drvPath?: string): void {
  const vault = { address, mount: "secret", approleMount: "approle" };
  const { disk: _, ...adopted } = kind("cache", { provider: "existing", vault });
  writeFlake(
    b.file("flake"),
    [adopted],
    hosts.map(({ name }) => ({
      kind: "cache",
      identity: identity(name, b.publicKey),
      ...(drvPath === undefined ? {} : { drvPath }),
    })),
  );
}

const colmena = (...args: readonly string[]) =>
  b.run("colmena", [...args, "-f", `path:${b.file("flake")}`], { env: { SSH_CONFIG_FILE: config } });
const calls = () => readFileSync(join(b.world.dir, "calls.jsonl"), "utf8");
const revision = (host: HostView) =>
  b.ssh(host.name, "cat /run/current-system/flotilla-revision").then((r) => r.stdout);

test("one host's failed switch fails that host alone, and leaves its profile set", async () => {
  flake();
  b.world.save("faults", { "host:builder-2": { kind: "bootloader-fails", times: 1 } });
  const { code, stderr } = await colmena("apply", "switch", "--on", "builder-1,builder-2", "--parallel", "8");
  expect(code).toBe(1);
  expect(stderr).toContain("[INFO ] Selected 2 out of 3 hosts.");
  expect(stderr).toContain("builder-1 | Activation successful");
  expect(stderr).toContain("builder-2 | Activation failed: Child process exited with error code: 1");
  expect(stderr).toContain("[ERROR] Failed to deploy to builder-2 - Last");
  expect(calls().match(/"evaluate"/g)).toHaveLength(1);

  const [first, second, third] = hosts as [HostView, HostView, HostView];
  expect(await revision(first)).toBe("cache-revision");
  expect(await revision(second)).toBe("");
  expect((await b.ssh("builder-2", "readlink -f /nix/var/nix/profiles/system")).stdout).toMatch(
    /-nixos-system-cache$/m,
  );
  expect((await b.ssh("builder-1", "stat -c '%a %U' /etc/flotilla/identity.json")).stdout).toBe("444 root\n");
  expect(existsSync(join(third.root, "etc/flotilla/identity.json"))).toBe(false);

  expect((await colmena("apply", "switch", "--on", "builder-2")).code).toBe(0);
  expect(await revision(second)).toBe("cache-revision");
});

test("units that fail to start fail the switch with exit code 4, on a system that runs", async () => {
  flake();
  b.world.save("faults", { "host:builder-1": { kind: "switch-fails", times: 1 } });
  const { code, stderr } = await colmena("apply", "switch", "--on", "builder-1");
  expect(code).toBe(1);
  expect(stderr).toContain("builder-1 | Activation failed: Child process exited with error code: 4");
  expect(await revision(hosts[0] as HostView)).toBe("cache-revision");
});

test("a host that does not answer fails alone", async () => {
  flake();
  b.world.save("faults", { "host:builder-2": { kind: "vanish", times: 1 } });
  const { code, stderr } = await colmena("apply", "--on", "builder-*");
  expect(code).toBe(1);
  expect(stderr).toContain("builder-1 | Activation successful");
  expect(stderr).toContain("builder-3 | Activation successful");
  expect(stderr).toContain("builder-2 | Push failed: Child process exited with error code: 1");
});

test("a derivation that is known is not evaluated again", async () => {
  flake();
  const built = await b.run("nix", [
    ...[
      "build",
      "--no-link",
      "--json",
      `path:${b.file("flake")}#nixosConfigurations."cache".config.system.build.toplevel`,
    ],
  ]);
  const [{ drvPath }] = JSON.parse(built.stdout) as [{ drvPath: string }];
  flake(undefined, drvPath);
  expect((await colmena("apply", "switch", "--on", "@runners")).code).toBe(0);
  expect(calls().match(/"evaluate"/g)).toHaveLength(1);
});

describe("quirks", () => {
  test("a selector that matches nothing is a success", async () => {
    flake();
    const { code, stderr } = await colmena("apply", "--on", "nosuch");
    expect(code).toBe(0);
    expect(stderr).toMatch(/ \| All done!\n$/);
  });

  test("an evaluation that fails fails every node of its chunk", async () => {
    flake();
    writeFileSync(b.file("flake/kinds/cache.json"), "{");
    const { code, stderr } = await colmena("apply", "--on", "builder-1,builder-2");
    expect(code).toBe(1);
    expect(stderr).toContain("(...) | Evaluation failed: Child process exited with error code: 1");
    expect(calls()).not.toContain("ssh builder");
  });

  test("without --on nothing is applied", async () => {
    flake();
    expect(await colmena("apply")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("meta.allowApplyAll is set to false"),
    });
    expect((await colmena("apply", "--frobnicate")).code).toBe(2);
  });
});

describe("a converged host with a Vault identity", () => {
  let vault: Server;
  afterEach(() => void vault.close());

  /** The routes of Vault that a host uses. The suite test/real has the real one. */
  async function startVault(): Promise<string> {
    let wrapped: string | undefined = "wrapping-token";
    vault = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = (status: number, body: unknown) => response.writeHead(status).end(JSON.stringify(body));
      const token = request.headers["x-vault-token"];
      if (request.url === "/v1/sys/wrapping/unwrap") {
        if (token !== wrapped)
          return answer(400, { errors: ["wrapping token is not valid or does not exist"] });
        wrapped = undefined;
        return answer(200, { data: { secret_id: "secret-id" } });
      }
      if (request.url === "/v1/auth/approle/login")
        return Buffer.concat(chunks).toString() === '{"role_id":"role","secret_id":"secret-id"}'
          ? answer(200, { auth: { client_token: "host-token" } })
          : answer(400, {});
      if (request.url === "/v1/secret/data/hosts/builder-1/builder-1-build-1" && token === "host-token")
        return answer(200, {
          data: { data: { kind: "registration-token", token: "AAA", url: "https://github.test" } },
        });
      return answer(403, {});
    });
    await new Promise<void>((resolve) => vault.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(vault.address() as AddressInfo).port}`;
  }

  test("starts its runners, drains them, and has them again after a reboot", async () => {
    const address = await startVault();
    flake(address);
    const [host] = hosts as [HostView];
    expect((await colmena("apply", "switch", "--on", "builder-1")).code).toBe(0);
    expect(online.size).toBe(0);

    const delivery = JSON.stringify({ address, wrappingToken: "wrapping-token", roleId: "role" });
    const deliver = () => b.ssh("builder-1", "/run/current-system/sw/bin/flotilla-approle", delivery);
    expect((await deliver()).code).toBe(0);
    expect((await deliver()).code).toBe(3);
    await b.hosts.settled();
    expect(online.get("builder-1-build-1")).toMatchObject({ labels: ["nix"], credential: { token: "AAA" } });
    expect(readFileSync(join(host.root, "run/flotilla-units/builder-1-build-1"), "utf8")).toBe("active\n");
    expect((await b.ssh("builder-1", "stat -c %a /run/secrets/runners/builder-1-build-1/token")).stdout).toBe(
      "400\n",
    );

    mkdirSync(join(host.root, "run/flotilla-jobs"));
    writeFileSync(join(host.root, "run/flotilla-jobs/builder-1-build-1"), "");
    const drained = await b.ssh("builder-1", "flotilla-drain --timeout 1 build");
    expect(drained).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("still running after 1 s: builder-1-build-1"),
    });
    // The job goes on and no other follows; without any time it is ended.
    await b.hosts.settled();
    expect(online.size).toBe(0);
    expect((await b.ssh("builder-1", "flotilla-drain --timeout 1")).code).toBe(4);
    expect((await b.ssh("builder-1", "flotilla-drain --timeout 0")).code).toBe(0);
    expect((await b.ssh("builder-1", "flotilla-drain --timeout 1")).code).toBe(0);

    await b.ssh("builder-1", "nohup reboot >/dev/null 2>&1 &");
    await expect.poll(() => online.size, { timeout: 5000 }).toBe(1);
  });
});
