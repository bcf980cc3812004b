/** GitHub and GitHub Enterprise Server: runners of a repo, an org or an enterprise. */
import { createPrivateKey } from "node:crypto";
import { createAppAuth } from "@octokit/auth-app";
import { Octokit } from "@octokit/core";
import { z } from "zod";
import type { Forge, Scope } from "../../fleet/model.ts";
import { HttpError, patientFetch } from "../http.ts";
import { type Failure, forgeError, scopeText } from "./failure.ts";
import { type ForgeClient, ForgeError, type RegisteredRunner } from "./forge.ts";
import type { ForgeCredential } from "./index.ts";

const PAGE = 100;

const runnerSchema = z.object({
  id: z.number(),
  name: z.string(),
  status: z.string(),
  busy: z.boolean(),
  labels: z.array(z.object({ name: z.string() })),
});
const pageSchema = z.object({ total_count: z.number(), runners: z.array(runnerSchema) });
const answerSchema = z.object({
  status: z.number(),
  request: z.object({ url: z.string() }),
  response: z.object({ headers: z.record(z.string(), z.unknown()) }).optional(),
});
const tokenSchema = z.object({ token: z.string().min(1), expires_at: z.string() });

export function createGithubClient(
  forge: Forge,
  credential: ForgeCredential,
  signal: AbortSignal | undefined,
): ForgeClient {
  const octokit = new Octokit({
    baseUrl: apiBase(forge.url),
    userAgent: "flotilla",
    ...authentication(forge, credential),
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    // No route in use takes effect twice when repeated: POST only mints tokens.
    request: {
      fetch: (url: string, init: RequestInit) =>
        patientFetch(url, init, { retry: true, signal }, `forge "${forge.name}"`),
    },
  });

  const call = async <T>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    scope: Scope,
    path: string,
    schema: z.ZodType<T>,
    query: Readonly<Record<string, string | number | readonly string[]>> = {},
  ): Promise<T> => {
    signal?.throwIfAborted();
    const route = `${runnersPath(forge, scope)}${path}`;
    const failed = (failure: Pick<Failure, "status" | "detail" | "mend">) =>
      forgeError({ forge, scope, route: `${method} ${route}`, permission: permissionFor(scope), ...failure });
    let data: unknown;
    try {
      data = (await octokit.request(`${method} ${route}`, { ...query })).data;
    } catch (error) {
      signal?.throwIfAborted();
      throw failed(explain(error, credential));
    }
    const parsed = schema.safeParse(data);
    if (!parsed.success) {
      throw failed({
        status: undefined,
        detail: "the answer is not in GitHub's form",
        mend: "check the url",
      });
    }
    return parsed.data;
  };

  const list = async (scope: Scope, filter: Readonly<Record<string, string>> = {}) => {
    const runners: RegisteredRunner[] = [];
    for (let page = 1; ; page++) {
      const found = await call("GET", scope, "", pageSchema, { ...filter, per_page: PAGE, page });
      runners.push(...found.runners.map(toRunner));
      if (found.runners.length === 0 || runners.length >= found.total_count) return runners;
    }
  };

  return {
    list: (scope) => list(scope),
    find: async (scope, name) => (await list(scope, { name })).find((runner) => runner.name === name),
    createCredential: async ({ scope }) => {
      const { token, expires_at } = await call("POST", scope, "/registration-token", tokenSchema);
      return { credential: { kind: "registration-token", token, expiresAt: expires_at } };
    },
    setLabels: async (scope, id, labels) => {
      await call("PUT", scope, `/${encodeURIComponent(id)}/labels`, z.unknown(), { labels });
    },
    remove: async (scope, id) => {
      try {
        await call("DELETE", scope, `/${encodeURIComponent(id)}`, z.unknown());
      } catch (error) {
        if (!(error instanceof ForgeError) || error.status !== 404) throw error;
      }
    },
  };
}

function apiBase(url: string): string {
  const { protocol, host } = new URL(url);
  if (host === "github.com" || host.endsWith(".ghe.com")) return `${protocol}//api.${host}`;
  return `${url}/api/v3`;
}

function authentication(forge: Forge, credential: ForgeCredential) {
  if ("token" in credential) return { auth: credential.token };
  const { appId, installationId, privateKey } = credential;
  const key = privateKey.replaceAll("\\n", "\n");
  try {
    createPrivateKey(key);
  } catch {
    throw new ForgeError(
      `forge "${forge.name}": flotilla:credentials.${forge.name}.privateKey is not a private key in PEM form; ` +
        "give it the whole content of the .pem file that GitHub made for the App",
    );
  }
  return { authStrategy: createAppAuth, auth: { appId, installationId, privateKey: key } };
}

function runnersPath(forge: Forge, scope: Scope): string {
  const part = encodeURIComponent;
  switch (scope.kind) {
    case "repo":
      return `/repos/${part(scope.owner)}/${part(scope.name)}/actions/runners`;
    case "org":
      return `/orgs/${part(scope.name)}/actions/runners`;
    case "enterprise":
      return `/enterprises/${part(scope.name)}/actions/runners`;
    default:
      throw new ForgeError(
        `forge "${forge.name}": GitHub has no runners for ${scopeText(scope)}; use the scope repo, org or enterprise`,
      );
  }
}

function permissionFor(scope: Scope): string {
  switch (scope.kind) {
    case "repo":
      return "the repository permission Administration: write";
    case "org":
      return "the organization permission Self-hosted runners: write";
    default:
      return "the classic scope manage_runners:enterprise";
  }
}

/** What an error of octokit means. Its own message can hold the text of an answer, so it is not repeated. */
function explain(error: unknown, credential: ForgeCredential): Pick<Failure, "status" | "detail" | "mend"> {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof HttpError) return { status: undefined, detail: cause.message };
  const answer = answerSchema.safeParse(error);
  if (!answer.success) return { status: undefined, detail: "the request could not be made" };
  const { status, request, response } = answer.data;

  const limit = rateLimit(response?.headers ?? {});
  if (limit !== undefined) return { status, detail: limit, mend: "run up again later" };
  if (request.url.endsWith("/access_tokens") && "appId" in credential) {
    const { appId, installationId } = credential;
    const detail = `asking for a token of installation ${installationId} of App ${appId}`;
    return {
      status,
      detail,
      ...(status === 404 ? { mend: "the App has no such installation; check appId and installationId" } : {}),
    };
  }
  if (status === 422) return { status, mend: "a runner with a running job must be drained first" };
  return { status };
}

/** GitHub answers 403 or 429 while a rate limit lasts. */
function rateLimit(headers: Readonly<Record<string, unknown>>): string | undefined {
  const reset = Number(headers["x-ratelimit-reset"]);
  if (headers["x-ratelimit-remaining"] === "0" && reset > 0) {
    return `the rate limit lasts until ${new Date(reset * 1000).toISOString()}`;
  }
  const wait = headers["retry-after"];
  return typeof wait === "string" ? `GitHub asks to wait ${wait} s` : undefined;
}

function toRunner(runner: z.infer<typeof runnerSchema>): RegisteredRunner {
  return {
    id: String(runner.id),
    name: runner.name,
    online: runner.status === "online",
    busy: runner.busy,
    labels: runner.labels.map((label) => label.name),
  };
}

function ignore(): void {}
