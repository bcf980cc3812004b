import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Settings } from "../../../provider/settings.ts";
import { Vault } from "../../../provider/vault.ts";
import { refusal } from "./fixture.ts";

interface Received {
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}
interface Answer {
  readonly status?: number;
  readonly body?: unknown;
}

/** Answers by route, the first ones first and the last for ever; everything else is not there. */
let answers: Record<string, Answer[]>;
let received: Received[];
let server: Server;
let address: string;

beforeEach(async () => {
  answers = {};
  received = [];
  server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const route = `${request.method} ${request.url}`;
    received.push({ route, headers: request.headers, body: text === "" ? undefined : JSON.parse(text) });
    const prepared = answers[route] ?? [];
    const { status = 200, body } = (prepared.length > 1 ? prepared.shift() : prepared[0]) ?? { status: 404 };
    response.writeHead(status).end(body === undefined ? "" : JSON.stringify(body));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const open = (change: Partial<Settings["vault"]> = {}, { signal } = new AbortController()) =>
  new Vault(
    { address, mount: "secret", approleMount: "approle", auth: { token: "s3cret-root" }, ...change },
    signal,
  );
const routes = () => received.map(({ route }) => route);
const credential = { kind: "registration-token", token: "s3cret-runner" } as const;
const about = { url: "https://forge.test", mark: "a-mark" };
const runnerData = "POST /v1/secret/data/hosts/builder-1/builder-1-jobs-1";

describe("logging in", () => {
  const auth = { client_token: "s3cret-client", lease_duration: 3600 };

  test("happens once, for all calls and also for those that come together", async () => {
    answers["POST /v1/auth/jwt/login"] = [{ body: { auth } }];
    answers[runnerData] = [{ body: {} }];
    const vault = open({ auth: { jwt: { mount: "jwt", role: "flotilla", token: "s3cret-jwt" } } });
    const write = () => vault.writeRunner("builder-1", "builder-1-jobs-1", credential, about);
    await Promise.all([write(), write()]);
    await write();
    expect(routes()).toEqual(["POST /v1/auth/jwt/login", runnerData, runnerData, runnerData]);
    expect(received[0]?.body).toEqual({ role: "flotilla", jwt: "s3cret-jwt" });
    expect(received.slice(1).map(({ headers }) => headers["x-vault-token"])).toEqual(
      Array.from({ length: 3 }, () => "s3cret-client"),
    );
  });

  test("happens again before it ends, since an up may outlive it", async () => {
    const login = "POST /v1/auth/jwt/login";
    answers[login] = [{ body: { auth: { ...auth, lease_duration: 1 } } }];
    answers[runnerData] = [{ body: {} }];
    const vault = open({ auth: { jwt: { mount: "jwt", role: "flotilla", token: "s3cret-jwt" } } });
    const write = () => vault.writeRunner("builder-1", "builder-1-jobs-1", credential, about);
    await write();
    await write();
    await sleep(800);
    await write();
    expect(routes()).toEqual([login, runnerData, runnerData, login, runnerData]);
  });

  test("with an AppRole goes to its own mount", async () => {
    answers["POST /v1/auth/ci/login"] = [{ body: { auth } }];
    answers[runnerData] = [{ body: {} }];
    const vault = open({ auth: { approle: { mount: "ci", roleId: "r", secretId: "s" } } });
    await vault.writeRunner("builder-1", "builder-1-jobs-1", credential, about);
    expect(received[0]).toMatchObject({
      route: "POST /v1/auth/ci/login",
      body: { role_id: "r", secret_id: "s" },
    });
  });

  test("that is refused names the route, and no secret", async () => {
    answers["POST /v1/auth/jwt/login"] = [{ status: 400, body: { errors: ["s3cret-jwt is expired"] } }];
    const vault = open({ auth: { jwt: { mount: "jwt", role: "flotilla", token: "s3cret-jwt" } } });
    expect(await refusal(vault.mintSecretId("builder-1"))).toBe(
      `Vault at ${address}: POST ${address}/v1/auth/jwt/login answered 400`,
    );
  });
});

describe("a runner's credential", () => {
  test("lies where its host, and no other, may read it", async () => {
    answers[runnerData] = [{ body: {} }];
    await open().writeRunner("builder-1", "builder-1-jobs-1", credential, about);
    expect(received).toMatchObject([{ route: runnerData, body: { data: { ...credential, ...about } } }]);
  });

  test("goes with all its versions, and once gone is gone", async () => {
    const route = "DELETE /v1/secret/metadata/hosts/builder-1/builder-1-jobs-1";
    answers[route] = [{ status: 204 }, { status: 404 }, { status: 403 }];
    const vault = open();
    await vault.removeRunner("builder-1", "builder-1-jobs-1");
    await vault.removeRunner("builder-1", "builder-1-jobs-1");
    expect(await refusal(vault.removeRunner("builder-1", "builder-1-jobs-1"))).toContain("answered 403");
    expect(routes()).toEqual([route, route, route]);
  });

  test("is in no error", async () => {
    answers[runnerData] = [{ status: 403, body: { errors: ["permission denied"] } }];
    const message = await refusal(open().writeRunner("builder-1", "builder-1-jobs-1", credential, about));
    expect(message).toContain("answered 403");
    expect(message).not.toContain("s3cret");
  });
});

test("a Vault that is sealed or restarts is asked again", async () => {
  answers[runnerData] = [{ status: 503 }, { status: 429 }, { body: {} }];
  await open().writeRunner("builder-1", "builder-1-jobs-1", credential, about);
  expect(routes()).toEqual([runnerData, runnerData, runnerData]);
});

test("waiting for Vault ends at once when it is cancelled", async () => {
  answers[runnerData] = [{ status: 503 }];
  const abort = new AbortController();
  const vault = open({}, abort);
  const ended = refusal(vault.writeRunner("builder-1", "builder-1-jobs-1", credential, about));
  setTimeout(() => abort.abort(new Error("cancelled")), 100);
  expect(await ended).toBe("cancelled");
});

describe("a host's secret-id", () => {
  const role = "/v1/auth/approle/role/builder-1";

  test("comes wrapped: only the host ever sees it", async () => {
    answers[`GET ${role}/role-id`] = [{ body: { data: { role_id: "role-1" } } }];
    answers[`POST ${role}/secret-id`] = [
      {
        body: {
          wrap_info: { token: "s3cret-wrapping", accessor: "of-the-token", wrapped_accessor: "accessor-1" },
        },
      },
    ];
    expect(await open().mintSecretId("builder-1")).toEqual({
      roleId: "role-1",
      wrappingToken: "s3cret-wrapping",
      accessor: "accessor-1",
    });
    expect(received.map(({ headers }) => headers["x-vault-wrap-ttl"])).toEqual([undefined, "120"]);
  });

  test("that comes unwrapped is refused, and not shown", async () => {
    answers[`GET ${role}/role-id`] = [{ body: { data: { role_id: "role-1" } } }];
    answers[`POST ${role}/secret-id`] = [{ body: { data: { secret_id: "s3cret-id" } } }];
    const message = await refusal(open().mintSecretId("builder-1"));
    expect(message).toContain("not in the expected form: wrap_info");
    expect(message).not.toContain("s3cret");
  });

  test("is looked up by its accessor", async () => {
    const lookup = `POST ${role}/secret-id-accessor/lookup`;
    answers[lookup] = [
      { body: { data: { expiration_time: "2027-02-19T00:00:00Z" } } },
      { status: 404 },
      { status: 403 },
      { status: 400 },
    ];
    const vault = open();
    const expiry = () => vault.secretIdExpiry("builder-1", "accessor-1");
    expect(await expiry()).toBe("2027-02-19T00:00:00Z");
    expect(received[0]?.body).toEqual({ secret_id_accessor: "accessor-1" });
    // Not known any more, or not for us to see: a new one is due.
    expect(await expiry()).toBeUndefined();
    expect(await expiry()).toBeUndefined();
    expect(await refusal(expiry())).toContain("answered 400");
  });
});

test("every request names the namespace, the login too", async () => {
  answers["POST /v1/auth/jwt/login"] = [{ body: { auth: { client_token: "t", lease_duration: 1 } } }];
  answers[runnerData] = [{ body: {} }];
  const vault = open({ namespace: "ci", auth: { jwt: { mount: "jwt", role: "flotilla", token: "j" } } });
  await vault.writeRunner("builder-1", "builder-1-jobs-1", credential, about);
  expect(received.map(({ headers }) => headers["x-vault-namespace"])).toEqual(["ci", "ci"]);
});
