import { describe, expect, it } from "vitest";
import type { Scope } from "../../../fleet/model.ts";
import { createForgeClient } from "../../../provider/forges/index.ts";
import { type ForgejoOptions, startForgejo } from "../../../rehearsal/forges/forgejo.ts";
import { failure, NAME, ORG, REPO, useFixture } from "./fixture.ts";

const TOKEN = "secret-of-the-operator";
const spec = { name: "cache-1-nix", scope: REPO, labels: ["native-nix:host"], ephemeral: false };
const USER: Scope = { kind: "user", name: "ada" };
const INSTANCE: Scope = { kind: "instance" };

const fixture = useFixture();

async function start(options: Partial<ForgejoOptions> = {}, token = TOKEN) {
  const all = { name: NAME, token: TOKEN, login: "ada", ...options };
  const server = await fixture.keep(startForgejo(fixture.world, all));
  return { server, client: createForgeClient(fixture.forgeAt(server), { token }) };
}

describe("a runner's life on Forgejo 15", () => {
  it.each([REPO, ORG, USER, INSTANCE])(
    "gets its record first ($kind), then connects as it",
    async (scope) => {
      const { server, client } = await start();
      const { id, credential } = await client.createCredential({ ...spec, scope });
      expect(await client.find(scope, spec.name)).toEqual({
        id,
        name: spec.name,
        online: false,
        busy: false,
        labels: [],
      });

      expect(server.connectRunner({ ...spec, scope, credential })).toEqual({ id });
      expect(await client.find(scope, spec.name)).toMatchObject({ online: true, labels: spec.labels });
      server.setBusy(spec.name, true);
      expect(await client.find(scope, spec.name)).toMatchObject({ online: true, busy: true });

      await client.remove(scope, id ?? "");
      await client.remove(scope, id ?? "");
      expect(() => server.connectRunner({ ...spec, credential })).toThrow(/unregistered runner/);
    },
  );

  it("refuses a pair that does not belong together", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    const wrong = { ...credential, token: "0".repeat(40) };
    expect(() => server.connectRunner({ ...spec, credential: wrong })).toThrow(/unregistered runner/);
  });

  it("forgets an ephemeral runner after its job", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential({ ...spec, ephemeral: true });
    server.connectRunner({ ...spec, credential });
    server.setBusy(spec.name, true);
    server.setBusy(spec.name, false);
    expect(await client.list(REPO)).toEqual([]);
  });

  it("reads every page, and on the instance only the instance's own", async () => {
    const { client } = await start();
    const names = Array.from({ length: 70 }, (_, i) => `runner-${i}`);
    for (const name of names) await client.createCredential({ ...spec, name });
    expect((await client.list(REPO)).map((runner) => runner.name)).toEqual(names);
    expect(await client.list(INSTANCE)).toEqual([]);
  });

  it("says so when the token is of another user than the scope, before it makes anything", async () => {
    const { server, client } = await start({ login: "grace" });
    const error = await failure(client.createCredential({ ...spec, scope: USER }));
    expect(error.message).toMatch(/the token is of user grace and cannot manage runners of user ada/);
    expect(server.runners()).toEqual([]);
  });
});

describe("what an interrupted run leaves on Forgejo", () => {
  it("is removed before the runner is made anew, so that there is one of its name", async () => {
    const { server, client } = await start();
    const first = await client.createCredential(spec);
    const second = await client.createCredential(spec);
    expect(server.runners().map((runner) => runner.id)).toEqual([second.id]);
    expect(() => server.connectRunner({ ...spec, credential: first.credential })).toThrow();
  });

  it("stays in other scopes, and under other names", async () => {
    const { server, client } = await start();
    await client.createCredential({ ...spec, scope: ORG });
    await client.createCredential({ ...spec, name: "cache-1-nix-2" });
    await client.createCredential(spec);
    expect(server.runners()).toHaveLength(3);
  });

  it("is left alone while it is online, with an error that says so", async () => {
    const { server, client } = await start();
    const { id, credential } = await client.createCredential(spec);
    server.connectRunner({ ...spec, credential });
    const error = await failure(client.createCredential(spec));
    expect(error.message).toMatch(
      /a runner named cache-1-nix is online in repo ada\/engine .*; stop it or remove it/,
    );
    expect(server.runners().map((runner) => runner.id)).toEqual([id]);
  });

  it.each(["500", "truncated"])(
    "also comes from a lost answer (%s): one record remains and works",
    async (kind) => {
      const { server, client } = await start();
      fixture.inject(kind, "POST");
      const { credential } = await client.createCredential(spec);
      expect(server.runners()).toHaveLength(1);
      server.connectRunner({ ...spec, credential });
    },
  );
});

describe("Forgejo before 15", () => {
  it.each([REPO, ORG, USER, INSTANCE])("gives a registration token ($kind), as Gitea does", async (scope) => {
    const { server, client } = await start({ version: "14.0.2+gitea-1.22.0" });
    const { id, credential } = await client.createCredential({ ...spec, scope });
    expect([id, credential.kind]).toEqual([undefined, "registration-token"]);
    server.connectRunner({ ...spec, scope, credential });
    expect(await client.find(scope, spec.name)).toMatchObject({ online: true });
  });

  it("asks for the version once", async () => {
    const { client } = await start({ version: "14.0.2+gitea-1.22.0" });
    await Promise.all([client.createCredential(spec), client.createCredential(spec)]);
    expect(fixture.calls().filter((call) => call === "GET /version")).toHaveLength(1);
  });
});

describe("when Forgejo fails", () => {
  it.each([
    ["a wrong token", {}, "wrong", 401, /the credential is not accepted/],
    ["too weak a token", { readOnlyTokens: ["weak"] }, "weak", 403, /it needs the scope write:repository/],
    ["a repo that is not there", { scopes: [ORG] }, TOKEN, 404, /repo ada\/engine is not there, or hidden/],
  ])("explains %s", async (_, options, token, status, message) => {
    const { client } = await start(options, token);
    const error = await failure(client.createCredential(spec));
    expect([error.status, error.message]).toEqual([status, expect.stringMatching(message)]);
  });

  it("explains that another program answers at the url", async () => {
    const { client } = await start({ version: "unknown" });
    expect((await failure(client.createCredential(spec))).message).toMatch(
      /reports no version of Forgejo; check/,
    );
  });

  it("writes no token into the world's log", async () => {
    const { client } = await start();
    const { credential } = await client.createCredential(spec);
    for (const secret of [TOKEN, credential.token]) expect(fixture.log()).not.toContain(secret);
  });
});
