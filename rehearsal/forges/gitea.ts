/** Stand-in for Gitea's runner API, and what the one for Forgejo shares with it. State is kept in the world. */
import type { Scope } from "../../fleet/model.ts";
import type { World } from "../world.ts";
import {
  type ForgeServer,
  type Join,
  openRunners,
  type RunnerRecord,
  type Runners,
  sameScope,
} from "./runners.ts";
import { type ApiAnswer, type ApiRequest, paginate, Refusal, type Route, startApiServer } from "./server.ts";

export interface GiteaOptions {
  readonly name: string;
  /** The access token that may manage runners. */
  readonly token: string;
  /** The user that the token belongs to. */
  readonly login: string;
  /** Default 1.26.0. */
  readonly version?: string;
  /** Whether the user is an administrator; default true. */
  readonly admin?: boolean;
  /** Access tokens without the permission to manage anything. */
  readonly readOnlyTokens?: readonly string[];
  /** Repos and orgs that exist; default: everything that is asked for. */
  readonly scopes?: readonly Scope[];
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly slowMs?: number;
}

export interface GiteaPart {
  readonly options: GiteaOptions;
  readonly runners: Runners;
  /** The route in each of the four scopes. */
  scoped(
    method: Route["method"],
    suffix: string,
    handle: (scope: Scope, request: ApiRequest) => ApiAnswer,
  ): Route[];
  /** The routes that both forges have; they differ in how a runner looks and is listed. */
  common(
    render: (runner: RunnerRecord) => unknown,
    list: (scope: Scope, request: ApiRequest) => ApiAnswer,
  ): Route[];
  /** The runner that a path names. */
  named(scope: Scope, request: ApiRequest): RunnerRecord;
}

export const PAGES = { parameter: "limit", initial: 30, most: 50 } as const;

export async function startGitea(world: World, options: GiteaOptions): Promise<ForgeServer> {
  const part = giteaPart(world, options);
  const { runners } = part;
  return serveGitea(world, part, "gitea", options.version ?? "1.26.0", [
    ...registrationTokens(part, "POST"),
    ...part.common(render, (scope, request) => {
      const found = scope.kind === "instance" ? runners.all() : runners.of(scope);
      const { page, headers } = paginate(request, found, PAGES);
      return { status: 200, body: { total_count: found.length, runners: page.map(render) }, headers };
    }),
  ]);
}

/** The token is the scope's own: the same one each time. */
export function registrationTokens({ scoped, runners }: GiteaPart, method: "GET" | "POST"): Route[] {
  return scoped(method, "/registration-token", (scope) => ({
    status: 200,
    body: { token: runners.registrationToken(scope, "").token },
  }));
}

export function giteaPart(world: World, options: GiteaOptions): GiteaPart {
  const { admin = true, login } = options;
  const runners = openRunners(world, options.name, options.now ?? Date.now);

  const bases: readonly { readonly path: string; scope(params: ApiRequest["params"]): Scope }[] = [
    { path: "/admin/actions/runners", scope: () => ({ kind: "instance" }) },
    { path: "/user/actions/runners", scope: () => ({ kind: "user", name: login }) },
    { path: "/orgs/{org}/actions/runners", scope: ({ org = "" }) => ({ kind: "org", name: org }) },
    {
      path: "/repos/{owner}/{repo}/actions/runners",
      scope: ({ owner = "", repo = "" }) => ({ kind: "repo", owner, name: repo }),
    },
  ];

  const requireScope = (scope: Scope): Scope => {
    if (scope.kind === "instance" && !admin) throw new Refusal(403, "user should be an administrator");
    const found = scope.kind === "instance" || scope.kind === "user" || options.scopes === undefined;
    if (!found && !options.scopes?.some((known) => sameScope(known, scope))) {
      throw new Refusal(404, "The target couldn't be found.");
    }
    return scope;
  };

  const scoped: GiteaPart["scoped"] = (method, suffix, handle) =>
    bases.map((base) => ({
      method,
      path: `${base.path}${suffix}`,
      handle: (request) => {
        authorize(options, request.token);
        return handle(requireScope(base.scope(request.params)), request);
      },
    }));

  const named: GiteaPart["named"] = (scope, { params }) => {
    const runner = runners.get(params.runner_id ?? "");
    const visible = runner !== undefined && (scope.kind === "instance" || sameScope(runner.scope, scope));
    if (!visible) throw new Refusal(404, "runner does not exist");
    return runner;
  };

  return {
    options,
    runners,
    scoped,
    named,
    common: (renderOne, list) => [
      ...scoped("GET", "", list),
      ...scoped("GET", "/{runner_id}", (scope, request) => ({
        status: 200,
        body: renderOne(named(scope, request)),
      })),
      ...scoped("DELETE", "/{runner_id}", (scope, request) => {
        runners.remove(named(scope, request).id);
        return { status: 204 };
      }),
    ],
  };
}

export async function serveGitea(
  world: World,
  { options, runners }: GiteaPart,
  kind: "gitea" | "forgejo",
  version: string,
  routes: readonly Route[],
): Promise<ForgeServer> {
  const { url, close } = await startApiServer({
    world,
    name: options.name,
    basePath: "/api/v1",
    routes: [
      { method: "GET", path: "/version", handle: () => ({ status: 200, body: { version } }) },
      {
        method: "GET",
        path: "/user",
        handle: ({ token }) => {
          authorize(options, token);
          return { status: 200, body: { id: 1, login: options.login, is_admin: options.admin ?? true } };
        },
      },
      ...routes,
    ],
    now: options.now ?? Date.now,
    slowMs: options.slowMs ?? 3000,
    errorFields: { url: "/api/swagger" },
  });
  return {
    url,
    kind,
    connectRunner: (join) => connect(runners, join),
    disconnectRunner: runners.disconnect,
    runners: runners.listed,
    setBusy: runners.setBusy,
    close,
  };
}

function connect(runners: Runners, join: Join): { readonly id: string } {
  const { credential, name, ephemeral, labels } = join;
  const scope = typeof join.scope === "object" ? join.scope : undefined;
  switch (credential.kind) {
    case "joined":
      return runners.goOnline(credential.id, scope);
    case "uuid-token": {
      const runner = runners.all().find(({ uuid }) => uuid === credential.uuid);
      if (runner === undefined || runner.token !== credential.token)
        throw new Refusal(401, "unregistered runner");
      // A runner declares its labels each time it starts.
      runner.labels = [...labels];
      return runners.goOnline(String(runner.id), scope);
    }
    case "registration-token": {
      const admitted = runners.scopeOf(credential.token);
      if (admitted === undefined || (scope !== undefined && !sameScope(scope, admitted))) {
        throw new Refusal(401, "runner registration token not found");
      }
      // Names are not unique: one who joins anew leaves its old record behind.
      const made = runners.add({ scope: admitted, name, online: false, ephemeral, labels: [...labels] });
      return runners.goOnline(String(made.id));
    }
    case "jit-config":
      throw new Refusal(404, "JIT configurations are GitHub's");
  }
}

function authorize(options: GiteaOptions, token: string | undefined): void {
  if (token === undefined) throw new Refusal(401, "token is required");
  if (options.readOnlyTokens?.includes(token)) {
    throw new Refusal(403, "token does not have at least one of required scope(s)");
  }
  if (token !== options.token) throw new Refusal(401, "invalid username, password or token");
}

function render(runner: RunnerRecord) {
  return {
    id: runner.id,
    name: runner.name,
    status: runner.online ? "online" : "offline",
    busy: runner.busy,
    disabled: false,
    ephemeral: runner.ephemeral,
    labels: runner.labels.map((name, id) => ({ id, name, type: "custom" })),
  };
}
