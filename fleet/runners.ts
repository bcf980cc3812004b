/** Runner entries → runners, checked against the forges that they name and the hosts that carry them. */
import { type Fault, show } from "./faults.ts";
import type { ExpandedHost } from "./hosts.ts";
import type { Forge, ForgeKind, Runner, Scope } from "./model.ts";
import type { FleetConfig, RunnerEntry } from "./schema.ts";

const scopesOf: Readonly<Record<ForgeKind, readonly Scope["kind"][]>> = {
  github: ["repo", "org", "enterprise"],
  forgejo: ["repo", "user", "org", "instance"],
  gitea: ["repo", "user", "org", "instance"],
};

export function resolveRunners(
  config: FleetConfig,
  forges: readonly Forge[],
  hosts: readonly ExpandedHost[],
  faults: Fault[],
): Runner[] {
  const tags = new Set(hosts.flatMap((host) => host.tags));
  return Object.entries(config.runners).flatMap(([name, entry]) => {
    const path = `runners.${name}`;
    const forge = forges.find((candidate) => candidate.name === entry.forge);
    if (forge === undefined)
      faults.push({
        path: `${path}.forge`,
        message: `${show(entry.forge)} is no forge of this fleet; one of ${forges.map((each) => each.name).join(", ")}`,
      });
    entry.on.forEach((tag, index) => {
      if (!tags.has(tag))
        faults.push({
          path: `${path}.on.${index}`,
          message: `no host has the tag ${show(tag)}; one of ${[...tags].toSorted().join(", ")}`,
        });
    });
    const scope = resolveScope(path, entry, forge, faults);
    if (scope === undefined) return [];
    const runner = resolveRunner(name, entry, scope, path, faults);
    if (runner.isolation === "microvm") checkVirtualisation(path, runner, hosts, faults);
    if (forge?.kind === "github" && runner.ephemeral && runner.isolation !== "microvm" && !tags.has("minter"))
      faults.push({
        path,
        message:
          "an ephemeral GitHub runner needs a fresh token for each job, and no host has the tag minter; tag one, or set ephemeral: false",
      });
    return [runner];
  });
}

function resolveScope(
  path: string,
  entry: RunnerEntry,
  forge: Forge | undefined,
  faults: Fault[],
): Scope | undefined {
  const given = Object.keys(entry.scope) as Scope["kind"][];
  const [kind, ...more] = given;
  if (kind === undefined || more.length > 0) {
    faults.push({
      path: `${path}.scope`,
      message: `${show(entry.scope)} must name exactly one of repo, user, org, enterprise, instance`,
    });
    return undefined;
  }
  if (forge !== undefined && !scopesOf[forge.kind].includes(kind))
    faults.push({
      path: `${path}.scope.${kind}`,
      message: `${forge.kind} has no such scope; one of ${scopesOf[forge.kind].join(", ")}`,
    });
  const { repo, user, org, enterprise } = entry.scope;
  if (repo !== undefined) {
    const [owner = "", name = ""] = repo.split("/");
    return { kind: "repo", owner, name };
  }
  if (user !== undefined) return { kind: "user", name: user };
  if (org !== undefined) return { kind: "org", name: org };
  if (enterprise !== undefined) return { kind: "enterprise", name: enterprise };
  return { kind: "instance" };
}

function resolveRunner(
  name: string,
  entry: RunnerEntry,
  scope: Scope,
  path: string,
  faults: Fault[],
): Runner {
  const { forge, on, isolation, perHost, capacity, min, max, vcpus, memoryMib } = entry;
  const microvm = isolation === "microvm";
  if (!microvm) {
    for (const [key, value] of Object.entries({ min, max, vcpus, memoryMib })) {
      if (value !== undefined)
        faults.push({
          path: `${path}.${key}`,
          message: "only microvm runners have it; remove it or set isolation: microvm",
        });
    }
  }
  const pool = { min: min ?? 1, max: max ?? min ?? 1, vcpus: vcpus ?? 2, memoryMib: memoryMib ?? 2048 };
  if (microvm && pool.min > pool.max)
    faults.push({ path: `${path}.min`, message: `${pool.min} is more than max, ${pool.max}` });
  return {
    name,
    forge,
    scope,
    on,
    labels: entry.labels ?? [name],
    isolation,
    ephemeral: entry.ephemeral ?? microvm,
    perHost,
    capacity,
    ...(microvm ? { pool } : {}),
  };
}

/** Hetzner Cloud servers have no /dev/kvm (docs.hetzner.com/cloud/servers/faq). */
function checkVirtualisation(
  path: string,
  runner: Runner,
  hosts: readonly ExpandedHost[],
  faults: Fault[],
): void {
  for (const host of hosts) {
    if (host.provider === "hetzner" && runner.on.some((tag) => host.tags.includes(tag)))
      faults.push({
        path: `${path}.isolation`,
        message: `microvm needs /dev/kvm, which Hetzner Cloud's ${host.type} of ${host.name} does not have; place it on bare metal or DigitalOcean`,
      });
  }
}
