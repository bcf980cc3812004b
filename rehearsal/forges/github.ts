/** Stand-in for GitHub's runner API and the part of it that runner programs talk to. State is kept in the world. */
import { createVerify, randomBytes } from "node:crypto";
import type { Scope } from "../../fleet/model.ts";
import type { World } from "../world.ts";
import { type ForgeServer, type Join, openRunners, type RunnerRecord, sameScope } from "./runners.ts";
import { type ApiRequest, paginate, Refusal, type Route, startApiServer, textField } from "./server.ts";

export interface GithubOptions {
  readonly name: string;
  /** Access tokens that may manage runners. */
  readonly tokens: readonly string[];
  /** Access tokens that see everything and may manage nothing. */
  readonly readOnlyTokens?: readonly string[];
  /** The App's public key (PEM); without it no App is known. */
  readonly appPublicKey?: string;
  /** Default: any. */
  readonly appId?: string;
  readonly installationId?: string;
  /** What exists; default: everything that is asked for. */
  readonly scopes?: readonly Scope[];
  /** Default 5000. */
  readonly callsPerHour?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly slowMs?: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DEFAULT_LABELS = ["self-hosted", "Linux", "X64"];

const bases: readonly { readonly path: string; scope(params: ApiRequest["params"]): Scope }[] = [
  {
    path: "/repos/{owner}/{repo}/actions/runners",
    scope: ({ owner = "", repo = "" }) => ({ kind: "repo", owner, name: repo }),
  },
  { path: "/orgs/{org}/actions/runners", scope: ({ org = "" }) => ({ kind: "org", name: org }) },
  {
    path: "/enterprises/{enterprise}/actions/runners",
    scope: ({ enterprise = "" }) => ({ kind: "enterprise", name: enterprise }),
  },
];

export async function startGithub(world: World, options: GithubOptions): Promise<ForgeServer> {
  const { name, now = Date.now } = options;
  const runners = openRunners(world, name, now);
  const rate = rateLimit(options.callsPerHour ?? 5000, now);

  /** Installation tokens and when they end. */
  const installationTokens = new Map(
    Object.entries(world.load<Record<string, number>>(`forge-${name}-app`, {})),
  );

  const requireScope = (scope: Scope): Scope => {
    if (options.scopes !== undefined && !options.scopes.some((known) => sameScope(known, scope))) {
      throw new Refusal(404, "Not Found");
    }
    return scope;
  };

  const authorize = (token: string | undefined): void => {
    if (token === undefined) throw new Refusal(401, "Requires authentication");
    if (options.readOnlyTokens?.includes(token))
      throw new Refusal(403, "Must have admin rights to Repository.");
    const known = options.tokens.includes(token) || (installationTokens.get(token) ?? 0) > now();
    if (!known) throw new Refusal(401, "Bad credentials");
  };

  const expire = () =>
    runners.removeWhere(
      ({ online, ephemeral, lastSeen }) => !online && now() - lastSeen > (ephemeral ? 1 : 14) * DAY,
    );

  const scoped = (
    method: Route["method"],
    suffix: string,
    handle: (scope: Scope, request: ApiRequest) => ReturnType<Route["handle"]>,
  ): Route[] =>
    bases.map((base) => ({
      method,
      path: `${base.path}${suffix}`,
      handle: (request) => {
        authorize(request.token);
        rate.take();
        expire();
        return handle(requireScope(base.scope(request.params)), request);
      },
    }));

  const named = (scope: Scope, { params }: ApiRequest): RunnerRecord => {
    const runner = runners.get(params.runner_id ?? "");
    if (runner === undefined || !sameScope(runner.scope, scope)) throw new Refusal(404, "Not Found");
    return runner;
  };

  const routes: Route[] = [
    {
      method: "POST",
      path: "/app/installations/{installation_id}/access_tokens",
      handle: ({ token, params }) => {
        verifyJwt(token, options, now());
        if (options.installationId !== undefined && params.installation_id !== options.installationId) {
          throw new Refusal(404, "Not Found");
        }
        const made = `ghs_${randomBytes(18).toString("hex")}`;
        installationTokens.set(made, now() + HOUR);
        world.save(`forge-${name}-app`, Object.fromEntries(installationTokens));
        const permissions = { administration: "write", organization_self_hosted_runners: "write" };
        const expires_at = seconds(now() + HOUR);
        return { status: 201, body: { token: made, expires_at, permissions, repository_selection: "all" } };
      },
    },
    ...scoped("POST", "/registration-token", (scope) => {
      const { token, expiresAt = 0 } = runners.registrationToken(scope, "A", HOUR);
      return { status: 201, body: { token, expires_at: seconds(expiresAt) } };
    }),
    ...scoped("POST", "/generate-jitconfig", (scope, { body }) => {
      const runnerName = textField(body, "name");
      const labels = labelsOf(body);
      if (runnerName === undefined || labels.length === 0) throw new Refusal(422, "Invalid request.");
      refuseClash(runners.of(scope), runnerName);
      const jit = randomBytes(20).toString("hex");
      const runner = runners.add({ scope, name: runnerName, online: false, ephemeral: true, labels, jit });
      const encoded_jit_config = Buffer.from(JSON.stringify({ id: runner.id, jit })).toString("base64");
      return { status: 201, body: { runner: render(runner), encoded_jit_config } };
    }),
    ...scoped("GET", "", (scope, request) => {
      const wanted = request.query.get("name");
      const found = runners.of(scope).filter((runner) => wanted === null || runner.name === wanted);
      const { page, headers } = paginate(request, found, { parameter: "per_page", initial: 30, most: 100 });
      return { status: 200, body: { total_count: found.length, runners: page.map(render) }, headers };
    }),
    ...scoped("GET", "/{runner_id}", (scope, request) => ({
      status: 200,
      body: render(named(scope, request)),
    })),
    ...scoped("PUT", "/{runner_id}/labels", (scope, request) => {
      const runner = named(scope, request);
      const labels = labelsOf(request.body);
      runner.labels = [...DEFAULT_LABELS, ...labels.filter((label) => !DEFAULT_LABELS.includes(label))];
      runners.save();
      return { status: 200, body: { total_count: runner.labels.length, labels: render(runner).labels } };
    }),
    ...scoped("DELETE", "/{runner_id}", (scope, request) => {
      const runner = named(scope, request);
      if (runner.busy) {
        throw new Refusal(422, `Bad request - Runner "${runner.name}" is still running a job"`);
      }
      runners.remove(runner.id);
      return { status: 204 };
    }),
  ];

  const { url, close } = await startApiServer({
    world,
    name,
    basePath: "/api/v3",
    routes,
    now,
    slowMs: options.slowMs ?? 3000,
    errorFields: { documentation_url: "https://docs.github.com/rest" },
    headers: rate.headers,
  });

  const connectRunner = (join: Join): { readonly id: string } => {
    expire();
    const { credential } = join;
    if (credential.kind === "joined") return runners.goOnline(credential.id);
    if (credential.kind === "jit-config") {
      const runner = runnerOfJit(credential.encoded, runners.all());
      delete runner.jit;
      return runners.goOnline(String(runner.id));
    }
    const scope = typeof join.scope === "string" ? scopeOfPage(join.scope) : join.scope;
    if (scope === undefined)
      throw new Refusal(404, "a runner of GitHub is configured for a repo, org or enterprise");
    const admitted = credential.kind === "registration-token" ? runners.scopeOf(credential.token) : undefined;
    if (admitted === undefined || !sameScope(admitted, scope)) {
      throw new Refusal(404, "the registration token is not valid for this page, or its hour is over");
    }
    const clash = runners.of(scope).find((runner) => runner.name === join.name);
    if (clash !== undefined) {
      if (join.replace !== true) refuseClash([clash], join.name);
      runners.remove(clash.id);
    }
    const { name: own, ephemeral } = join;
    const labels = [...DEFAULT_LABELS, ...join.labels.filter((label) => !DEFAULT_LABELS.includes(label))];
    const { id } = runners.add({ scope, name: own, online: false, ephemeral, labels });
    return runners.goOnline(String(id));
  };

  return {
    url,
    kind: "github",
    connectRunner,
    disconnectRunner: runners.disconnect,
    runners: runners.listed,
    setBusy: runners.setBusy,
    close,
  };
}

/** RS256 by the App's key, in the ten minutes that GitHub allows. Its refusals are worded as GitHub's. */
function verifyJwt(jwt: string | undefined, { appPublicKey, appId }: GithubOptions, now: number): void {
  const [header = "", payload = "", signature = ""] = (jwt ?? "").split(".");
  const decoded = decodeJson(payload);
  const valid =
    appPublicKey !== undefined &&
    textField(decodeJson(header), "alg") === "RS256" &&
    createVerify("RSA-SHA256").update(`${header}.${payload}`).verify(appPublicKey, signature, "base64url");
  if (!valid) throw new Refusal(401, "A JSON web token could not be decoded");
  const claim = (key: string): unknown =>
    typeof decoded === "object" && decoded !== null ? Reflect.get(decoded, key) : undefined;
  if (appId !== undefined && String(claim("iss")) !== appId) throw new Refusal(404, "Integration not found");
  const [iat, exp] = [Number(claim("iat")) * 1000, Number(claim("exp")) * 1000];
  if (!(iat <= now + 60_000)) {
    throw new Refusal(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  if (!(exp > now)) {
    throw new Refusal(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (exp > now + 660_000) throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future");
}

function runnerOfJit(encoded: string, all: readonly RunnerRecord[]): RunnerRecord {
  const jit = textField(decodeJson(encoded), "jit");
  const runner = all.find((one) => one.jit !== undefined && one.jit === jit);
  if (runner === undefined) throw new Refusal(401, "the JIT configuration is not valid or was used before");
  return runner;
}

function decodeJson(encoded: string): unknown {
  try {
    return JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function scopeOfPage(page: string): Scope | undefined {
  const [first, second] = new URL(page).pathname.split("/").filter((part) => part !== "");
  if (first === undefined) return undefined;
  if (second === undefined) return { kind: "org", name: first };
  if (first === "enterprises") return { kind: "enterprise", name: second };
  return { kind: "repo", owner: first, name: second };
}

function refuseClash(existing: readonly RunnerRecord[], name: string): void {
  if (existing.some((runner) => runner.name === name)) {
    throw new Refusal(409, `Already exists - A runner with the name ${name} already exists.`);
  }
}

function labelsOf(body: unknown): string[] {
  if (typeof body !== "object" || body === null) return [];
  const labels: unknown = Reflect.get(body, "labels");
  return Array.isArray(labels) ? labels.filter((label) => typeof label === "string") : [];
}

function render(runner: RunnerRecord) {
  return {
    id: runner.id,
    name: runner.name,
    os: "Linux",
    status: runner.online ? "online" : "offline",
    busy: runner.busy,
    ephemeral: runner.ephemeral,
    runner_group_id: 1,
    labels: runner.labels.map((label, index) => ({
      id: index + 1,
      name: label,
      type: DEFAULT_LABELS.includes(label) ? "read-only" : "custom",
    })),
  };
}

/** Counts the calls of each hour. */
function rateLimit(limit: number, now: () => number) {
  let used = 0;
  let reset = now() + HOUR;
  return {
    take: () => {
      if (now() >= reset) [used, reset] = [0, now() + HOUR];
      if (++used > limit) throw new Refusal(403, "API rate limit exceeded");
    },
    headers: () => ({
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(Math.max(0, limit - used)),
      "x-ratelimit-used": String(used),
      "x-ratelimit-reset": String(Math.floor(reset / 1000)),
      "x-ratelimit-resource": "core",
    }),
  };
}

function seconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
