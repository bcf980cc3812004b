import { describe, expect, it } from "vitest";
import type { Scope } from "../../../fleet/model.ts";
import { createForgeClient } from "../../../provider/forges/index.ts";
import { type GiteaOptions, startGitea } from "../../../rehearsal/forges/gitea.ts";
import { failure, NAME, ORG, REPO, useFixture } from "./fixture.ts";

const TOKEN = "secret-of-the-operator";
const spec = { name: "cache-1-nix", scope: REPO, labels: ["native-nix:host"], ephemeral: false };
const USER: Scope = { kind: "user", name: "ada" };
const INSTANCE: Scope = { kind: "instance" };

const fixture = useFixture();

async function start(options: Partial<GiteaOptions> = {}, token = TOKEN) {
  const all = { name: NAME, token: TOKEN, login: "Ada", ...options };
  const server = await fixture.keep(startGitea(fixture.world, all));
  return { server, client: createForgeClient(fixture.forgeAt(server), { token }) };
}

describe("a runner's life on Gitea", () => {
  it.each([REPO, ORG, USER, INSTANCE])("joins with the token of its $kind, and is removed", async (scope) => {
    const { server, client } = await start();
    const { id, credential } = await client.createCredential({ ...spec, scope });
    expect(id).toBeUndefined();
    const joined = server.connectRunner({ ...spec, scope, credential });
    const found = { id: joined.id, name: spec.name, online: true, busy: false, labels: spec.labels };
    expect(await client.find(scope, spec.name)).toEqual(found);
    await client.remove(scope, joined.id);
    await client.remove(scope, joined.id);
    expect(await client.list(scope)).toEqual([]);
  });

  it("gives the scope's own token, the same each time; it admits to no other scope", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    expect((await client.createCredential(spec)).credential).toEqual(credential);
    expect((await client.createCredential({ ...spec, scope: ORG })).credential).not.toEqual(credential);
    expect(() => server.connectRunner({ ...spec, scope: ORG, credential })).toThrow(/not found/);
  });

  it("finds the runner itself beside the offline record of its former life", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    const old = server.connectRunner({ ...spec, credential });
    server.disconnectRunner(old.id);
    expect(await client.find(REPO, spec.name)).toMatchObject({ id: old.id, online: false });
    const { id } = server.connectRunner({ ...spec, credential });
    expect(await client.find(REPO, spec.name)).toMatchObject({ id, online: true });
  });

  it("reads every page", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    for (let i = 0; i < 120; i++) server.connectRunner({ ...spec, name: `runner-${i}`, credential });
    expect(await client.list(REPO)).toHaveLength(120);
  });

  it("says so when the token is of another user than the scope", async () => {
    const { client } = await start({ login: "grace" });
    const error = await failure(client.createCredential({ ...spec, scope: USER }));
    expect(error.message).toBe(
      'forge "code": the token is of user grace and cannot manage runners of user ada; ' +
        "set flotilla:credentials.code.token to a token of ada",
    );
  });

  it("has no enterprises and no Apps", async () => {
    const { server, client } = await start();
    const error = await failure(client.list({ kind: "enterprise", name: "lovelace" }));
    expect(error.message).toMatch(
      /enterprise lovelace is a scope of GitHub; use repo, user, org or instance/,
    );
    const app = { appId: 1, installationId: 2, privateKey: "not-a-key" };
    expect(() => createForgeClient(fixture.forgeAt(server), app)).toThrow(/Apps are GitHub's; set .*token/);
  });
});

describe("when Gitea fails", () => {
  it.each(["500", "429", "truncated"])("gets over one %s", async (kind) => {
    const { client } = await start();
    fixture.inject(kind);
    expect((await client.createCredential(spec)).credential.kind).toBe("registration-token");
    expect(fixture.calls()).toHaveLength(2);
  });

  it.each([
    ["a wrong token", {}, "wrong", 401, /answered 401: the credential is not accepted; set flotilla:cred/],
    ["too weak a token", { readOnlyTokens: ["weak"] }, "weak", 403, /it needs the scope write:repository/],
    ["a repo that is not there", { scopes: [ORG] }, TOKEN, 404, /repo ada\/engine is not there, or hidden/],
  ])("explains %s", async (_, options, token, status, message) => {
    const { client } = await start(options, token);
    const error = await failure(client.createCredential(spec));
    expect([error.status, error.message]).toEqual([status, expect.stringMatching(message)]);
  });

  it("explains that only an administrator manages the instance's runners", async () => {
    const { client } = await start({ admin: false });
    const error = await failure(client.list(INSTANCE));
    expect(error.message).toMatch(/needs the scope write:admin and its user to be an administrator/);
  });

  it("writes no token into the world's log", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    server.connectRunner({ ...spec, credential });
    if (credential.kind !== "registration-token") throw new Error("Gitea gives registration tokens");
    for (const secret of [TOKEN, credential.token]) expect(fixture.log()).not.toContain(secret);
  });
});
