import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Scope } from "../../../fleet/model.ts";
import { createForgeClient } from "../../../provider/forges/index.ts";
import { type GithubOptions, startGithub } from "../../../rehearsal/forges/github.ts";
import { failure, NAME, ORG, REPO, useFixture } from "./fixture.ts";

const TOKEN = "ghp_secret-of-the-operator";
const HOUR = 3_600_000;
const spec = { name: "builder-1-docker", scope: REPO, labels: ["nix"], ephemeral: false };

const fixture = useFixture();

async function start(options: Partial<GithubOptions> = {}, token = TOKEN) {
  const server = await fixture.keep(startGithub(fixture.world, { name: NAME, tokens: [TOKEN], ...options }));
  return { server, client: createForgeClient(fixture.forgeAt(server), { token }) };
}

describe("a runner's life on GitHub", () => {
  it("mints a token, sees the runner once it joined, and removes it", async () => {
    const { server, client } = await start();
    const { id, credential } = await client.createCredential(spec);
    expect(id).toBeUndefined();
    expect(await client.find(REPO, spec.name)).toBeUndefined();

    const joined = server.connectRunner({ ...spec, scope: `${server.url}/ada/engine`, credential });
    const online = { id: joined.id, name: spec.name, online: true, busy: false };
    expect(await client.find(REPO, spec.name)).toMatchObject(online);
    expect((await client.find(REPO, spec.name))?.labels).toEqual(["self-hosted", "Linux", "X64", "nix"]);

    server.disconnectRunner(joined.id);
    expect(await client.find(REPO, spec.name)).toMatchObject({ online: false });
    await client.remove(REPO, joined.id);
    expect(server.runners()).toEqual([]);
  });

  it("gives a runner that is there other labels", async () => {
    const { client, server } = await start();
    const { credential } = await client.createCredential(spec);
    const { id } = server.connectRunner({ ...spec, credential });
    await client.setLabels?.(REPO, id, ["nix"]);
    expect((await client.find(REPO, spec.name))?.labels).toContain("nix");
  });

  it("takes a runner that is gone already for removed", async () => {
    const { client } = await start();
    await client.remove(REPO, "4711");
  });

  it.each<Scope>([ORG, { kind: "enterprise", name: "lovelace" }])("works for an $kind", async (scope) => {
    const { server, client } = await start();
    const { credential } = await client.createCredential({ ...spec, scope });
    server.connectRunner({ ...spec, scope, credential });
    expect(await client.list(scope)).toHaveLength(1);
    expect(await client.list(REPO)).toEqual([]);
  });

  it.each<Scope>([{ kind: "user", name: "ada" }, { kind: "instance" }])(
    "says that GitHub has no runners for $kind",
    async (scope) => {
      const { client } = await start();
      const error = await failure(client.createCredential({ ...spec, scope }));
      expect(error.message).toMatch(/GitHub has no runners for .*; use the scope repo, org or enterprise/);
    },
  );

  it("reads every page", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    for (let i = 0; i < 230; i++)
      server.connectRunner({ ...spec, name: `runner-${i}`, credential, scope: REPO });
    const names = (await client.list(REPO)).map((runner) => runner.name);
    expect(new Set(names).size).toBe(230);
    expect(await client.find(REPO, "runner-229")).toBeDefined();
    expect(await client.find(REPO, "runner-22")).toMatchObject({ name: "runner-22" });
  });

  it("refuses to remove a runner with a running job and says to drain it", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    const { id } = server.connectRunner({ ...spec, credential });
    server.setBusy(spec.name, true);
    expect(await client.find(REPO, spec.name)).toMatchObject({ busy: true });
    const error = await failure(client.remove(REPO, id));
    expect([error.status, error.message]).toEqual([422, expect.stringMatching(/must be drained first/)]);
  });
});

describe("what GitHub's server does with runners", () => {
  it("lets a registration token live for an hour", async () => {
    let now = Date.now();
    const { server, client } = await start({ now: () => now });
    const { credential } = await client.createCredential(spec);
    if (credential.kind !== "registration-token") throw new Error("GitHub gives registration tokens");
    expect(Date.parse(credential.expiresAt ?? "") - now).toBeGreaterThan(HOUR - 1000);

    now += 59 * 60_000;
    server.connectRunner({ ...spec, credential });
    now += 2 * 60_000;
    expect(() => server.connectRunner({ ...spec, name: "late", credential })).toThrow(/its hour is over/);
  });

  it("refuses a token of another repo, and a second runner of the same name unless it replaces", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    expect(() => server.connectRunner({ ...spec, scope: ORG, credential })).toThrow(
      /not valid for this page/,
    );
    const first = server.connectRunner({ ...spec, credential });
    expect(() => server.connectRunner({ ...spec, credential })).toThrow(/Already exists/);
    expect(server.connectRunner({ ...spec, credential, replace: true }).id).not.toBe(first.id);
    expect(server.runners()).toHaveLength(1);
  });

  it("forgets an ephemeral runner after its job, and offline ones after a day or two weeks", async () => {
    let now = Date.now();
    const { server, client } = await start({ now: () => now });
    const { credential } = await client.createCredential(spec);
    const join = (name: string, ephemeral: boolean) =>
      server.connectRunner({ ...spec, name, ephemeral, credential });
    join("one-job", true);
    server.setBusy("one-job", true);
    server.setBusy("one-job", false);
    server.disconnectRunner(join("idle-ephemeral", true).id);
    server.disconnectRunner(join("persistent", false).id);
    const names = async () => (await client.list(REPO)).map((runner) => runner.name);
    expect(await names()).toEqual(["idle-ephemeral", "persistent"]);
    now += 25 * HOUR;
    expect(await names()).toEqual(["persistent"]);
    now += 14 * 24 * HOUR;
    expect(await names()).toEqual([]);
  });

  it("keeps its state over a restart: a runner comes back without a new token, unless it was removed", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    const { id } = server.connectRunner({ ...spec, credential });
    server.disconnectRunner(id);
    await server.close();

    const { server: restarted, client: again } = await start();
    expect(restarted.url).toBe(server.url);
    restarted.connectRunner({ ...spec, credential: { kind: "joined", id } });
    expect(await again.find(REPO, spec.name)).toMatchObject({ id, online: true });
    await again.remove(REPO, id);
    expect(() => restarted.connectRunner({ ...spec, credential: { kind: "joined", id } })).toThrow(
      /was removed/,
    );
  });
});

describe("when GitHub fails", () => {
  it.each(["500", "429", "truncated"])("gets over one %s", async (kind) => {
    const { client } = await start();
    fixture.inject(kind);
    expect((await client.createCredential(spec)).credential.kind).toBe("registration-token");
    expect(fixture.calls()).toHaveLength(2);
  });

  it("says that the forge is in trouble", async () => {
    const { client } = await start();
    fixture.inject("501");
    const error = await failure(client.list(REPO));
    expect(error.message).toBe(
      'forge "code": GET /repos/ada/engine/actions/runners answered 501: the forge is in trouble; run up again later',
    );
  });

  it("ends at once when cancelled, even while it waits for a slow answer", async () => {
    const { server } = await start({ slowMs: 20_000 });
    const cancel = new AbortController();
    const client = createForgeClient(fixture.forgeAt(server), { token: TOKEN }, cancel.signal);
    fixture.inject("slow");
    const listed = client.list(REPO);
    setTimeout(() => cancel.abort(new Error("cancelled by the operator")), 50);
    await expect(listed).rejects.toThrow("cancelled by the operator");
  });

  it.each([
    [
      "a wrong token",
      {},
      "wrong",
      401,
      /credential is not accepted; set flotilla:credentials.code to a valid one/,
    ],
    [
      "too weak a token",
      { readOnlyTokens: ["weak"] },
      "weak",
      403,
      /it needs the repository permission Admin/,
    ],
    ["a repo that it cannot see", { scopes: [ORG] }, TOKEN, 404, /repo ada\/engine is not there, or hidden/],
  ])("explains %s", async (_, options, token, status, message) => {
    const { client } = await start(options, token);
    const error = await failure(client.createCredential(spec));
    expect([error.status, error.message]).toEqual([status, expect.stringMatching(message)]);
    expect(error.message).not.toContain(token === TOKEN ? TOKEN : `"${token}"`);
  });

  it("says how long the rate limit lasts, and does not try again before", async () => {
    const { client } = await start({ callsPerHour: 1, now: () => Date.parse("2026-11-21T12:00:00Z") });
    await client.list(REPO);
    const { message } = await failure(client.list(REPO));
    expect(message).toMatch(
      /answered 403 \(the rate limit lasts until 2026-11-21T13:00:00.000Z\): run up again later/,
    );
    expect(fixture.calls()).toHaveLength(2);
  });

  it("writes no token into the world's log", async () => {
    const { server, client } = await start();
    const { credential } = await client.createCredential(spec);
    server.connectRunner({ ...spec, credential });
    if (credential.kind !== "registration-token") throw new Error("GitHub gives registration tokens");
    expect(fixture.log()).toContain("POST /repos/ada/engine/actions/runners/registration-token");
    for (const secret of [TOKEN, credential.token]) expect(fixture.log()).not.toContain(secret);
  });
});

describe("a GitHub App", () => {
  const keys = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const app = { appId: "12", installationId: "34", privateKey: keys.privateKey };
  const options = { tokens: [], appPublicKey: keys.publicKey, appId: "12", installationId: "34" };

  it("asks for an installation's token once and works with it", async () => {
    const { server } = await start(options);
    const client = createForgeClient(fixture.forgeAt(server), app);
    await Promise.all([1, 2, 3].map((n) => client.createCredential({ ...spec, name: `builder-${n}` })));
    expect(await client.list(REPO)).toEqual([]);
    const asked = fixture.calls().filter((call) => call === "POST /app/installations/34/access_tokens");
    expect(asked).toHaveLength(1);
    expect(fixture.calls()).toHaveLength(5);
  });

  it("takes a key whose line ends were written as \\n", async () => {
    const { server } = await start(options);
    const privateKey = app.privateKey.replaceAll("\n", "\\n");
    await createForgeClient(fixture.forgeAt(server), { ...app, privateKey }).createCredential(spec);
  });

  it("bears a clock that is an hour off", async () => {
    const { server } = await start({ ...options, now: () => Date.now() + HOUR });
    await createForgeClient(fixture.forgeAt(server), app).createCredential(spec);
  });

  it("names the installation that does not exist", async () => {
    const { server } = await start(options);
    const client = createForgeClient(fixture.forgeAt(server), { ...app, installationId: 99 });
    const error = await failure(client.createCredential(spec));
    expect(error.message).toMatch(
      /asking for a token of installation 99 of App 12\): the App has no such installation/,
    );
  });

  it("is refused with another App's key", async () => {
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const privateKey = other.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const { server } = await start(options);
    const error = await failure(
      createForgeClient(fixture.forgeAt(server), { ...app, privateKey }).list(REPO),
    );
    expect([error.status, error.message]).toEqual([401, expect.stringMatching(/credential is not accepted/)]);
  });

  it("says what a key must be, without showing it", async () => {
    const { server } = await start(options);
    const make = () => createForgeClient(fixture.forgeAt(server), { ...app, privateKey: "not-a-key" });
    expect(make).toThrow(/credentials.code.privateKey is not a private key in PEM form/);
    expect(make).not.toThrow(/not-a-key/);
  });
});
