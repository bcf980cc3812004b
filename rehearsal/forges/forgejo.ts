/** Stand-in for Forgejo's runner API, by its published description: 15 and later, and the older way. */
import { randomBytes, randomUUID } from "node:crypto";
import type { World } from "../world.ts";
import { type GiteaOptions, giteaPart, PAGES, registrationTokens, serveGitea } from "./gitea.ts";
import type { ForgeServer, RunnerRecord } from "./runners.ts";
import { paginate, Refusal, type Route, textField } from "./server.ts";

export type ForgejoOptions = GiteaOptions;

export async function startForgejo(world: World, options: ForgejoOptions): Promise<ForgeServer> {
  const { version = "15.0.0+gitea-1.22.0" } = options;
  const part = giteaPart(world, options);
  const { runners, scoped } = part;
  const makesRunners = Number.parseInt(version, 10) >= 15;

  const create = scoped("POST", "", (scope, { body }) => {
    const name = textField(body, "name");
    if (name === undefined) throw new Refusal(422, "[Name]: Required");
    const ephemeral = typeof body === "object" && body !== null && Reflect.get(body, "ephemeral") === true;
    const uuid = randomUUID();
    const token = randomBytes(20).toString("hex");
    const { id } = runners.add({ scope, name, online: false, ephemeral, labels: [], uuid, token });
    return { status: 201, body: { id, uuid, token } };
  });

  // Before 15 the instance's token had a path of its own.
  const tokens = registrationTokens(part, "GET").map((route): Route => {
    const path = makesRunners ? route.path : route.path.replace("/admin/actions/", "/admin/");
    return { ...route, path };
  });

  return serveGitea(world, part, "forgejo", version, [
    ...tokens,
    ...(makesRunners ? create : []),
    ...part.common(render, (scope, request) => {
      const found = runners.of(scope);
      const { page, headers } = paginate(request, found, PAGES);
      return {
        status: 200,
        body: page.map(render),
        headers: { ...headers, "x-total-count": String(found.length) },
      };
    }),
  ]);
}

function render(runner: RunnerRecord) {
  const status = runner.busy ? "active" : "idle";
  return {
    id: runner.id,
    uuid: runner.uuid ?? "",
    name: runner.name,
    status: runner.online ? status : "offline",
    ephemeral: runner.ephemeral,
    labels: runner.labels,
    description: "",
    version: "",
    owner_id: runner.scope.kind === "user" || runner.scope.kind === "org" ? 1 : 0,
    repo_id: runner.scope.kind === "repo" ? 1 : 0,
  };
}
