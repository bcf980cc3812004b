/** Gitea, and what Forgejo shares with it: paths, authentication, the list of runners. */
import { z } from "zod";
import type { Forge, Scope } from "../../fleet/model.ts";
import { HttpError, requestWithHeaders } from "../http.ts";
import { forgeError, scopeText } from "./failure.ts";
import { type ForgeClient, ForgeError, type RegisteredRunner } from "./forge.ts";
import type { ForgeCredential } from "./index.ts";

/** Servers give at most this many, unless told to give fewer. */
const PAGE = 50;

const runnerSchema = z.object({
  id: z.number(),
  name: z.string(),
  /** Gitea: `online` or `offline`, with `busy`. Forgejo: `offline`, `idle` or `active`. */
  status: z.string(),
  busy: z.boolean().optional(),
  labels: z.array(z.union([z.string(), z.object({ name: z.string() })])).nullish(),
});
/** Gitea wraps the list; Forgejo gives it plain, with the total in a header. */
const pageSchema = z.union([
  z.object({ total_count: z.number(), runners: z.array(runnerSchema).nullable() }),
  z.array(runnerSchema),
]);
const tokenSchema = z.object({ token: z.string().min(1) });

export interface GiteaApi {
  /** @throws ForgeError */
  call<T>(call: {
    readonly method: "GET" | "POST" | "DELETE";
    readonly path: string;
    readonly schema: z.ZodType<T>;
    readonly scope?: Scope;
    readonly query?: string;
    readonly body?: unknown;
    /** Whether a POST may be sent twice. */
    readonly retry?: boolean;
  }): Promise<{ readonly body: T; readonly headers: Headers }>;
  /** `/…/actions/runners` of the scope. @throws ForgeError when the token is of another user than the scope. */
  runnersPath(scope: Scope): Promise<string>;
  list(scope: Scope): Promise<readonly RegisteredRunner[]>;
  find(scope: Scope, name: string): Promise<RegisteredRunner | undefined>;
  remove(scope: Scope, id: string): Promise<void>;
  /** The token is the scope's own: it stays the same until someone resets it. */
  registrationToken(
    scope: Scope,
    method: "GET" | "POST",
    path: string,
  ): ReturnType<ForgeClient["createCredential"]>;
}

export function createGiteaClient(
  forge: Forge,
  credential: ForgeCredential,
  signal: AbortSignal | undefined,
): ForgeClient {
  const api = giteaApi(forge, credential, signal);
  return {
    list: api.list,
    find: api.find,
    remove: api.remove,
    createCredential: async ({ scope }) =>
      api.registrationToken(scope, "POST", `${await api.runnersPath(scope)}/registration-token`),
  };
}

export function giteaApi(
  forge: Forge,
  credential: ForgeCredential,
  signal: AbortSignal | undefined,
): GiteaApi {
  if (!("token" in credential)) {
    throw new ForgeError(
      `forge "${forge.name}": Apps are GitHub's; set flotilla:credentials.${forge.name}.token to an access token`,
    );
  }
  const { token } = credential;

  const call: GiteaApi["call"] = async ({ method, path, schema, scope, query = "", body, retry }) => {
    try {
      return await requestWithHeaders({
        method,
        url: `${forge.url}/api/v1${path}${query}`,
        headers: { authorization: `token ${token}` },
        schema,
        signal,
        what: `forge "${forge.name}"`,
        ...(body === undefined ? {} : { body }),
        ...(retry === undefined ? {} : { retry }),
      });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // The message says more than the status where the answer itself was a success.
      if (error.status === undefined || error.status < 400)
        throw because(new ForgeError(error.message), error);
      const route = `${method} /api/v1${path}`;
      const permission = permissionFor(scope);
      throw because(forgeError({ forge, scope, route, status: error.status, permission }), error);
    }
  };

  const login = once(async () => {
    const { body } = await call({ method: "GET", path: "/user", schema: z.object({ login: z.string() }) });
    return body.login;
  });

  const runnersPath = async (scope: Scope): Promise<string> => {
    const part = encodeURIComponent;
    switch (scope.kind) {
      case "repo":
        return `/repos/${part(scope.owner)}/${part(scope.name)}/actions/runners`;
      case "org":
        return `/orgs/${part(scope.name)}/actions/runners`;
      case "instance":
        // Gitea lists the runners of all scopes here: a runner is told from others by its name alone.
        return "/admin/actions/runners";
      case "user": {
        const own = await login();
        if (own.toLowerCase() === scope.name.toLowerCase()) return "/user/actions/runners";
        throw new ForgeError(
          `forge "${forge.name}": the token is of user ${own} and cannot manage runners of user ${scope.name}; ` +
            `set flotilla:credentials.${forge.name}.token to a token of ${scope.name}`,
        );
      }
      case "enterprise":
        throw new ForgeError(
          `forge "${forge.name}": ${scopeText(scope)} is a scope of GitHub; use repo, user, org or instance`,
        );
    }
  };

  const list = async (scope: Scope): Promise<readonly RegisteredRunner[]> => {
    const path = await runnersPath(scope);
    const runners: RegisteredRunner[] = [];
    for (let page = 1; ; page++) {
      const query = `?page=${page}&limit=${PAGE}`;
      const { body, headers } = await call({ method: "GET", path, query, schema: pageSchema, scope });
      const [found, total] = Array.isArray(body)
        ? [body, Number(headers.get("x-total-count") ?? Number.POSITIVE_INFINITY)]
        : [body.runners ?? [], body.total_count];
      runners.push(...found.map(toRunner));
      if (found.length === 0 || runners.length >= total) return runners;
    }
  };

  return {
    call,
    runnersPath,
    list,
    // Names are not unique here: a runner that joined again leaves its old record behind, offline.
    find: async (scope, name) => {
      const named = (await list(scope)).filter((runner) => runner.name === name);
      return named.find((runner) => runner.online) ?? named.at(-1);
    },
    remove: async (scope, id) => {
      const path = `${await runnersPath(scope)}/${encodeURIComponent(id)}`;
      try {
        await call({ method: "DELETE", path, schema: z.unknown(), scope });
      } catch (error) {
        if (!(error instanceof ForgeError) || error.status !== 404) throw error;
      }
    },
    registrationToken: async (scope, method, path) => {
      const { body } = await call({ method, path, schema: tokenSchema, scope, retry: true });
      return { credential: { kind: "registration-token", token: body.token } };
    },
  };
}

/** Asks once and keeps the answer; a failure is not kept. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
}

function permissionFor(scope: Scope | undefined): string {
  switch (scope?.kind) {
    case "repo":
      return "the scope write:repository and its user to administer the repo";
    case "org":
      return "the scope write:organization and its user to own the org";
    case "instance":
      return "the scope write:admin and its user to be an administrator";
    default:
      return "the scope write:user";
  }
}

function because(error: ForgeError, cause: HttpError): ForgeError {
  error.cause = cause;
  return error;
}

function toRunner(runner: z.infer<typeof runnerSchema>): RegisteredRunner {
  return {
    id: String(runner.id),
    name: runner.name,
    online: runner.status !== "offline",
    busy: runner.busy ?? runner.status === "active",
    labels: (runner.labels ?? []).map((label) => (typeof label === "string" ? label : label.name)),
  };
}
