/** A fleet as resources, and what the stack says of it afterwards. */
import type { ParsedFleet } from "../fleet/parse.ts";
import { FlotillaProvider, Seed } from "../provider/sdk.ts";
import { cloudsOf } from "./clouds.ts";
import type { CreatedHost } from "./host.ts";
import { createVault } from "./vault.ts";
import { createWaves } from "./waves.ts";

/** Stack outputs: plain data for scripts, without a secret. */
export type FleetOutputs = Readonly<Record<"hosts" | "kinds" | "runners", unknown>>;

export function createFleet(parsed: ParsedFleet): FleetOutputs {
  const { fleet, vaultAuth } = parsed;
  const protect = fleet.hosts.some((host) => host.protect);
  const settings = settingsOf(parsed);
  const flotilla = new FlotillaProvider("flotilla", { settings });
  const { seed } = new Seed("seed", { provider: flotilla, protect });
  const vault = createVault(fleet, vaultAuth, { protect });
  const clouds = cloudsOf(fleet, seed, { protect });
  const hosts = createWaves({ fleet, seed, clouds, vault, flotilla, settings });
  return {
    hosts: Object.fromEntries(hosts.map(describeHost)),
    kinds: Object.fromEntries(fleet.kinds.map(({ name, revision }) => [name, revision])),
    runners: Object.fromEntries(hosts.flatMap(describeRunners)),
  };
}

function describeHost({ spec, machine, converge }: CreatedHost): [string, unknown] {
  const { name, provider, tags, kind } = spec;
  return [name, { provider, address: machine.address, tags, kind: kind.name, revision: converge.revision }];
}

function describeRunners({ spec }: CreatedHost): [string, unknown][] {
  return spec.placements.map(({ name, runner }) => [
    name,
    { forge: runner.forge, scope: runner.scope, labels: runner.labels, host: spec.name },
  ]);
}

/** All that the provider needs and no resource holds. */
function settingsOf({ fleet, credentials, vaultAuth }: ParsedFleet): string {
  const { address, namespace, mount, approleMount } = fleet.vault;
  return JSON.stringify({
    fleet: fleet.name,
    forges: Object.fromEntries(fleet.forges.map(({ name, kind, url }) => [name, { kind, url }])),
    credentials,
    vault: { address, namespace, mount, approleMount, auth: vaultAuth },
    parallel: fleet.rollout.parallel,
    drainSeconds: fleet.rollout.drainMinutes * 60,
    bootSeconds: fleet.rollout.bootMinutes * 60,
  });
}
