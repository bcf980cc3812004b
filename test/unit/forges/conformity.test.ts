/** The simulated servers against the descriptions that GitHub and Gitea publish; enterprise routes are not in these. */
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { startGitea } from "../../../rehearsal/forges/gitea.ts";
import { startGithub } from "../../../rehearsal/forges/github.ts";
import type { ForgeServer } from "../../../rehearsal/forges/runners.ts";
import { NAME, useFixture } from "./fixture.ts";
import { departures, readDescription } from "./openapi.ts";

const specs = new URL("../../../../shared/specs/", import.meta.url);
const fixture = useFixture();

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Asks the server, holds the exchange against the description and returns the answer's body. */
function asker(file: string, server: ForgeServer, base: string, token: string) {
  const description = readDescription(new URL(file, specs));
  return async ({ method, path, params = {}, query = {}, body }: Ask, status: number): Promise<unknown> => {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "1");
    const response = await fetch(`${server.url}${base}${filled}?${new URLSearchParams(query)}`, {
      method,
      headers: { authorization: `token ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === "" ? undefined : JSON.parse(text);
    expect([method, path, response.status]).toEqual([method, path, status]);
    const exchange = { method, path, status, body: answer, query: Object.keys(query), requestBody: body };
    expect(departures(description, exchange)).toEqual([]);
    return answer;
  };
}

function field(value: unknown, name: string): string {
  return typeof value === "object" && value !== null ? String(Reflect.get(value, name)) : "";
}

describe.skipIf(!existsSync(new URL("github.json", specs)))(
  "GitHub (needs ../shared/specs/github.json)",
  () => {
    it.each([
      {
        path: "/repos/{owner}/{repo}/actions/runners",
        scope: { kind: "repo", owner: "ada", name: "engine" },
      },
      { path: "/orgs/{org}/actions/runners", scope: { kind: "org", name: "analytical" } },
    ] as const)("$path", async ({ path, scope }) => {
      const server = await fixture.keep(startGithub(fixture.world, { name: NAME, tokens: ["t"] }));
      const ask = asker("github.json", server, "/api/v3", "t");
      const params = { owner: "ada", repo: "engine", org: "analytical" };

      const made = await ask({ method: "POST", path: `${path}/registration-token`, params }, 201);
      const credential = { kind: "registration-token", token: field(made, "token") } as const;
      const joined = { name: "one", labels: ["nix"], ephemeral: true, scope, credential };
      const runner_id = server.connectRunner(joined).id;
      const one = { ...params, runner_id };

      const body = { name: "two", runner_group_id: 1, labels: ["nix"] };
      const jitPath = `${path}/generate-jitconfig`;
      const jit = await ask({ method: "POST", path: jitPath, params, body }, 201);
      await ask({ method: "POST", path: jitPath, params, body }, 409);
      const encoded = field(jit, "encoded_jit_config");
      const two = { ...joined, name: "two", credential: { kind: "jit-config", encoded } } as const;
      server.connectRunner(two);
      expect(() => server.connectRunner(two)).toThrow(/used before/);

      const query = { name: "one", per_page: "1", page: "1" };
      expect(field(await ask({ method: "GET", path, params, query }, 200), "total_count")).toBe("1");
      expect(field(await ask({ method: "GET", path, params }, 200), "total_count")).toBe("2");
      await ask({ method: "GET", path: `${path}/{runner_id}`, params: one }, 200);
      server.setBusy("one", true);
      await ask({ method: "DELETE", path: `${path}/{runner_id}`, params: one }, 422);
      server.disconnectRunner(runner_id);
      await ask({ method: "DELETE", path: `${path}/{runner_id}`, params: one }, 204);
    });

    it("/app/installations/{installation_id}/access_tokens", async () => {
      const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const appPublicKey = publicKey.export({ type: "spki", format: "pem" }).toString();
      const options = { name: NAME, tokens: [], appPublicKey, installationId: "1" };
      const server = await fixture.keep(startGithub(fixture.world, options));

      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const now = Math.floor(Date.now() / 1000);
      const content = `${part({ alg: "RS256", typ: "JWT" })}.${part({ iss: "12", iat: now - 30, exp: now + 300 })}`;
      const jwt = `${content}.${sign("RSA-SHA256", Buffer.from(content), privateKey).toString("base64url")}`;
      const path = "/app/installations/{installation_id}/access_tokens";
      const ask = asker("github.json", server, "/api/v3", jwt);
      await ask({ method: "POST", path }, 201);
      await ask({ method: "POST", path, params: { installation_id: "2" } }, 404);
      await asker(
        "github.json",
        server,
        "/api/v3",
        `${jwt.slice(0, -8)}AAAAAAAA`,
      )({ method: "POST", path }, 401);
    });

    it("counts the rate limit down and links the pages", async () => {
      const server = await fixture.keep(startGithub(fixture.world, { name: NAME, tokens: ["t"] }));
      const page = `${server.url}/api/v3/orgs/analytical/actions/runners`;
      const get = (url: string) => fetch(url, { headers: { authorization: "Bearer t" } });
      const made = await fetch(`${page}/registration-token`, {
        method: "POST",
        headers: { authorization: "token t" },
      });
      const credential = { kind: "registration-token", token: field(await made.json(), "token") } as const;
      for (const name of ["one", "two", "three"]) {
        server.connectRunner({
          name,
          labels: [],
          ephemeral: false,
          scope: `${server.url}/analytical`,
          credential,
        });
      }
      const first = await get(`${page}?per_page=2`);
      expect(first.headers.get("link")).toContain(`<${page}?per_page=2&page=2>; rel="next"`);
      expect((await get(`${page}?per_page=2&page=2`)).headers.get("link")).toBeNull();
      expect(first.headers.get("x-ratelimit-remaining")).toBe("4998");
    });
  },
);

describe.skipIf(!existsSync(new URL("gitea.json", specs)))("Gitea (needs ../shared/specs/gitea.json)", () => {
  it.each([
    "/repos/{owner}/{repo}/actions/runners",
    "/orgs/{org}/actions/runners",
    "/user/actions/runners",
    "/admin/actions/runners",
  ])("%s", async (path) => {
    const options = { name: NAME, token: "t", login: "ada" };
    const server = await fixture.keep(startGitea(fixture.world, options));
    const ask = asker("gitea.json", server, "/api/v1", "t");
    const made = await ask({ method: "POST", path: `${path}/registration-token` }, 200);
    const credential = { kind: "registration-token", token: field(made, "token") } as const;
    const { id } = server.connectRunner({ name: "one", labels: ["nix:host"], ephemeral: false, credential });
    const params = { runner_id: id };

    await ask({ method: "GET", path }, 200);
    await ask({ method: "GET", path: `${path}/{runner_id}`, params }, 200);
    await ask({ method: "DELETE", path: `${path}/{runner_id}`, params }, 204);
    await ask({ method: "DELETE", path: `${path}/{runner_id}`, params }, 404);
    await ask({ method: "GET", path: "/version" }, 200);
    await ask({ method: "GET", path: "/user" }, 200);
  });
});
