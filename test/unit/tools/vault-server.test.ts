import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureVault } from "../../../rehearsal/tools/vault.ts";
import { startVault, type VaultServer } from "../../../rehearsal/tools/vault-server.ts";
import { openWorld, type World } from "../../../rehearsal/world.ts";

let world: World;
beforeAll(async () => {
  world = openWorld(mkdtempSync(join(tmpdir(), "flotilla-vault-")));
  await ensureVault();
}, 20 * 60_000);
afterAll(() => rmSync(world.dir, { recursive: true }));

async function call(vault: VaultServer, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${vault.address}/v1/${path}`, {
    method,
    headers: { "x-vault-token": vault.rootToken },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return response.status === 204 ? undefined : response.json();
}

function isListening(address: string): Promise<boolean> {
  return fetch(`${address}/v1/sys/health`).then(
    () => true,
    () => false,
  );
}

describe("the rehearsal's Vault", () => {
  test("is a real server whose storage and root token outlive it", async () => {
    const first = await startVault(world);
    await call(first, "POST", "sys/mounts/secret", { type: "kv", options: { version: "2" } });
    await call(first, "POST", "secret/data/hosts/builder-1", { data: { token: "kept" } });
    await first.close();
    expect(await isListening(first.address)).toBe(false);

    const second = await startVault(world);
    expect(second.address).toBe(first.address);
    expect(await call(second, "GET", "secret/data/hosts/builder-1")).toMatchObject({
      data: { data: { token: "kept" } },
    });
    await second.close();
  });

  test("writes an audit log and keeps its keys from other users", () => {
    expect(statSync(join(world.dir, "vault", "audit.log")).size).toBeGreaterThan(0);
    expect(statSync(join(world.dir, "secrets", "vault.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(world.dir, "vault", "storage")).mode & 0o777).toBe(0o700);
  });

  test("ends with the process that started it, even when that is killed", async () => {
    const tools = join(import.meta.dirname, "..", "..", "..", "rehearsal");
    const program = `
      const { openWorld } = await import(${JSON.stringify(join(tools, "world.ts"))});
      const { startVault } = await import(${JSON.stringify(join(tools, "tools", "vault-server.ts"))});
      console.log((await startVault(openWorld(${JSON.stringify(world.dir)}))).address);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const address = await new Promise<string>((resolve) =>
      parent.stdout.once("data", (text) => resolve(String(text).trim())),
    );
    expect(await isListening(address)).toBe(true);
    parent.kill("SIGKILL");
    await expect.poll(() => isListening(address), { timeout: 2000 }).toBe(false);
  });

  test("says what its log says when it does not start", async () => {
    await expect(startVault(world, "/bin/false")).rejects.toThrow(
      /false did not start \(its log: .*server\.log\)/,
    );
  });
});
