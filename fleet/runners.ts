/** Runner entries → runners, checked against the forges that they name and the hosts that carry them. */
import { type Fault, oneOf, show } from "./faults.ts";
import type { ExpandedHost } from "./hosts.ts";
import type { Forge, ForgeKind, Runner, Scope } from "./model.ts";
import type { Written } from "./salvage.ts";
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
  written: Written,
  faults: Fault[],
): Runner[] {
  const hasMinter = hosts.some(({ tags }) => tags.includes("minter")) || written.lostTags.has("minter");
  return Object.entries(config.runners).map(([name, entry]) => {
    const path = `runners.${name}`;
    const forge = forges.find((candidate) => candidate.name === entry.forge);
    if (!written.forges.has(entry.forge))
      faults.push({
        path: `${path}.forge`,
        message: `${show(entry.forge)} is no forge of this fleet; ${oneOf(written.forges)}`,
      });
    entry.on.forEach((tag, index) => {
      if (!written.tags.has(tag))
        faults.push({
          path: `${path}.on.${index}`,
          message: `no host has the tag ${show(tag)}; ${oneOf(written.tags)}`,
        });
    });
    const scope = resolveScope(entry.scope);
    if (forge !== undefined && !scopesOf[forge.kind].includes(scope.kind))
      faults.push({
        path: `${path}.scope.${scope.kind}`,
        message: `${forge.kind} has no such scope; ${oneOf(scopesOf[forge.kind])}`,
      });
    const runner = resolveRunner(name, entry, scope, path, faults);
    if (forge?.kind === "github" && runner.capacity > 1)
      faults.push({
        path: `${path}.capacity`,
        message: "a GitHub runner takes one job at a time; use perHost for more",
      });
    if (runner.isolation === "microvm") checkVirtualisation(path, runner, hosts, faults);
    if (forge?.kind === "github" && runner.ephemeral && runner.isolation !== "microvm" && !hasMinter)
      faults.push({
        path,
        message:
          "an ephemeral GitHub runner needs a fresh token for each job, and no host has the tag minter; tag one, or set ephemeral: false",
      });
    return runner;
  });
}

function resolveScope({ repo, user, org, enterprise }: RunnerEntry["scope"]): Scope {
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
  const pool = {
    min: min ?? 1,
    max: max ?? Math.max(min ?? 1, 1),
    vcpus: vcpus ?? 2,
    memoryMib: memoryMib ?? 2048,
  };
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
  const groups = new Map(
    hosts
      .filter(({ tags }) => runner.on.some((tag) => tags.includes(tag)))
      .flatMap((host) => (host.provider === "hetzner" ? [[host.group, host.type] as const] : [])),
  );
  for (const [group, type] of groups)
    faults.push({
      path: `${path}.isolation`,
      message: `microvm needs /dev/kvm, which Hetzner Cloud's ${type} of hosts.${group} does not have; place it on bare metal or DigitalOcean`,
    });
}
