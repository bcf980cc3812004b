/** Hosts in waves: a wave converges when the gate of the one before it has passed. */
import type * as pulumi from "@pulumi/pulumi";
import type { Fleet, Host, Wave } from "../fleet/model.ts";
import { Gate, type GateArgs } from "../provider/sdk.ts";
import { type CreatedHost, createHost, type FleetParts } from "./host.ts";

/** How long the runners of a wave may take to come online. */
const patienceSeconds = 180;

export function createWaves(parts: FleetParts): CreatedHost[] {
  const created: CreatedHost[] = [];
  let gates: readonly pulumi.Resource[] = [];
  for (const wave of parts.fleet.waves) {
    const hosts = hostsOf(parts.fleet, wave).map((host) => createHost(host, parts, gates));
    gates = [createGate(wave, hosts, parts)];
    created.push(...hosts);
  }
  return created;
}

function createGate(wave: Wave, hosts: readonly CreatedHost[], parts: FleetParts): Gate {
  return new Gate(
    `gate-${wave.name}`,
    {
      wave: wave.name,
      hosts: Object.fromEntries(hosts.map(({ spec }) => [spec.name, spec.revision])),
      runners: Object.fromEntries(hosts.flatMap(runnersOf)),
      patienceSeconds,
    },
    { provider: parts.flotilla, dependsOn: hosts.map(({ converge }) => converge) },
  );
}

function runnersOf({ spec, marks }: CreatedHost): [string, GateArgs["runners"][string]][] {
  return spec.placements.map(({ name, runner: { forge, scope } }) => [
    name,
    { forge, scope, mark: marks[name] ?? "" },
  ]);
}

function hostsOf(fleet: Fleet, wave: Wave): Host[] {
  return fleet.hosts.filter(({ name }) => wave.hosts.includes(name));
}
