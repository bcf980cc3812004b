/** Against a real Vault; without one on this machine only what needs none is tested. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { ProviderDefinition } from "../../../provider/protocol.ts";
import { vaultPlugin } from "../../../rehearsal/plugins/vault.ts";
import { cacheDir, findCached } from "../../../rehearsal/tools/cache.ts";
import { findOnPath } from "../../../rehearsal/tools/path.ts";
import { startVault, type VaultServer } from "../../../rehearsal/tools/vault-server.ts";
import { openWorld } from "../../../rehearsal/world.ts";
import { drive } from "./fixture.ts";

const executable = findOnPath("vault") ?? findCached(cacheDir(), "vault", "1.21.0");
if (executable === undefined)
  console.warn("the stand-in for Vault's plugin is not tested: there is no vault here");

describe.skipIf(executable === undefined)("the stand-in for Vault's plugin", () => {
  const dir = mkdtempSync(join(tmpdir(), "flotilla-vault-"));
  let vault: VaultServer;
  let plugin: ProviderDefinition;
  const part = (type: string) => drive(plugin, `vault:${type}`);
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    token = vault.rootToken,
  ): Promise<unknown> => {
    const response = await fetch(`${vault.address}/v1/${path}`, {
      method,
      headers: { "x-vault-token": token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  };

  beforeAll(async () => {
    vault = await startVault(openWorld(dir), executable);
    plugin = vaultPlugin();
    await plugin.configure({ address: vault.address, token: vault.rootToken, skipChildToken: "false" });
  }, 60_000);
  afterAll(async () => {
    await vault?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("mounts, tunes, moves and unmounts a secrets engine", async () => {
    const mount = part("index/mount:Mount");
    const wanted = { path: "fleet-a", type: "kv-v2", description: "runners" };
    const state = await mount.create(wanted);
    expect(state).toMatchObject({
      id: "fleet-a",
      outputs: { ...wanted, accessor: expect.stringMatching(/^kv_/) as string },
    });
    const refreshed = await mount.refresh(state);
    expect(refreshed && mount.changes(refreshed, wanted)).toEqual([]);
    const news = { ...wanted, path: "fleet-b", description: "moved", maxLeaseTtlSeconds: 7200 };
    const moved = await mount.update(state, news);
    expect(moved.outputs).toMatchObject(news);
    await mount.delete(moved);
    await mount.delete(moved);
    expect(await mount.refresh(moved)).toBeUndefined();
  });

  it("keeps an auth backend, a policy and a role that a host can log in with", async () => {
    const [backend, policy, role] = [
      part("index/authBackend:AuthBackend"),
      part("index/policy:Policy"),
      part("appRole/authBackendRole:AuthBackendRole"),
    ];
    const auth = await backend.create({ type: "approle", path: "fleet", tune: { maxLeaseTtl: "3600s" } });
    expect(auth.outputs).toMatchObject({
      path: "fleet",
      type: "approle",
      accessor: expect.any(String) as string,
    });

    const text = 'path "secret/data/hosts/builder-1/*" { capabilities = ["read"] }';
    const reads = await policy.create({ name: "ci-builder-1", policy: text });
    expect(reads.outputs).toMatchObject({ policy: text });

    const wanted = {
      backend: "fleet",
      roleName: "builder-1",
      tokenPolicies: ["ci-builder-1"],
      secretIdTtl: 600,
      secretIdNumUses: 1,
      tokenTtl: 300,
    };
    const state = await role.create(wanted);
    expect(state.id).toBe("auth/fleet/role/builder-1");
    expect(state.outputs).toMatchObject({ ...wanted, bindSecretId: true, tokenType: "default" });
    const refreshed = await role.refresh(state);
    expect(refreshed && role.changes(refreshed, wanted)).toEqual([]);

    const minted = z
      .object({ data: z.object({ secret_id: z.string() }) })
      .parse(await ask("POST", `${state.id}/secret-id`));
    const body = { role_id: state.outputs.roleId, secret_id: minted.data.secret_id };
    expect(await ask("POST", "auth/fleet/login", body, "")).toMatchObject({
      auth: { token_policies: ["ci-builder-1", "default"] },
    });

    const { tokenTtl: _, ...less } = wanted;
    const changed = await role.update(state, { ...less, tokenPolicies: [], roleId: "builder-1" });
    expect(changed.outputs).toMatchObject({ tokenPolicies: [], tokenTtl: 0, roleId: "builder-1" });
    await ask("POST", state.id, { token_ttl: 60 });
    const drifted = await role.refresh(changed);
    expect(drifted && role.changes(drifted, { ...less, tokenPolicies: [], roleId: "builder-1" })).toEqual([
      "tokenTtl",
    ]);

    for (const [driver, gone] of [
      [role, changed],
      [policy, reads],
      [backend, auth],
    ] as const) {
      await driver.delete(gone);
      await driver.delete(gone);
      expect(await driver.refresh(gone)).toBeUndefined();
    }
  });

  it("logs in by AppRole when the configuration says so", async () => {
    await ask("POST", "sys/auth/ops", { type: "approle" });
    await ask("PUT", "sys/policies/acl/ops", {
      policy:
        'path "sys/policies/acl/*" { capabilities = ["create", "read", "update", "delete"] }\npath "auth/token/create" { capabilities = ["create", "update"] }',
    });
    await ask("POST", "auth/ops/role/up", { token_policies: ["ops"] });
    const id = z
      .object({ data: z.object({ role_id: z.string() }) })
      .parse(await ask("GET", "auth/ops/role/up/role-id"));
    const secret = z
      .object({ data: z.object({ secret_id: z.string() }) })
      .parse(await ask("POST", "auth/ops/role/up/secret-id"));
    const parameters = { role_id: id.data.role_id, secret_id: secret.data.secret_id };
    const scoped = vaultPlugin();
    await scoped.configure({
      address: vault.address,
      authLogin: JSON.stringify({ path: "auth/ops/login", parameters }),
    });
    const state = await drive(scoped, "vault:index/policy:Policy").create({
      name: "made-by-ops",
      policy: "" + 'path "x" {}',
    });
    expect(state.id).toBe("made-by-ops");
    await expect(drive(scoped, "vault:index/mount:Mount").create({ path: "x", type: "kv" })).rejects.toThrow(
      /^Vault: POST \/sys\/mounts\/x: 403 .*permission denied$/,
    );
  });

  it("creates the replacement of a mount first, and so fails on its path, as the official one does", async () => {
    const mount = part("index/mount:Mount");
    const state = await mount.create({ path: "twice", type: "kv" });
    await expect(mount.create({ path: "twice", type: "kv-v2" })).rejects.toThrow("path is already in use");
    await mount.delete(state);
  });
});

describe("the stand-in for Vault's plugin without a server", () => {
  it("says what is missing or not spoken", async () => {
    const create = (config: Record<string, string>) => {
      const plugin = vaultPlugin();
      void plugin.configure(config);
      return drive(plugin, "vault:index/policy:Policy").create({ name: "p", policy: "" });
    };
    await expect(create({ token: "t" })).rejects.toThrow(
      "vault has no address; set vault:address or VAULT_ADDR",
    );
    await expect(create({ address: "http://127.0.0.1:9" })).rejects.toThrow("vault has no token");
    await expect(create({ address: "http://127.0.0.1:9", authLoginAws: "{}" })).rejects.toThrow(
      "authLoginAws",
    );
  });
});
