/** One host from nothing to converged: machine → install → Vault identity → registrations → converge. */
import * as pulumi from "@pulumi/pulumi";
import { deriveHostKey, type HostKeyPurpose } from "../fleet/host-keys.ts";
import type { Fleet, Host } from "../fleet/model.ts";
import { Converge, type FlotillaProvider, Install, Registration } from "../provider/sdk.ts";
import type { Clouds } from "./clouds.ts";
import { DigitalOceanHost } from "./hosts/digitalocean-host.ts";
import { ExistingHost } from "./hosts/existing-host.ts";
import { HetznerHost } from "./hosts/hetzner-host.ts";
import type { Machine } from "./machine.ts";
import { renderUserData } from "./user-data.ts";
import type { FleetVault } from "./vault.ts";

export interface FleetParts {
  readonly fleet: Fleet;
  readonly seed: pulumi.Output<string>;
  readonly clouds: Clouds;
  readonly vault: FleetVault;
  readonly flotilla: FlotillaProvider;
  /** The provider's settings: secret. */
  readonly settings: string;
}

export interface CreatedHost {
  readonly spec: Host;
  readonly machine: Machine;
  readonly converge: Converge;
  /** Of its registrations, by runner. */
  readonly marks: Readonly<Record<string, pulumi.Output<string>>>;
}

/** @param gates what must pass before this host converges. */
export function createHost(spec: Host, parts: FleetParts, gates: readonly pulumi.Resource[]): CreatedHost {
  const { vault, flotilla } = parts;
  const keys = hostKeysOf(spec, parts.seed);
  const machine = createMachine(spec, parts, keys);
  const opts = { parent: machine, provider: flotilla };
  const connection = {
    host: spec.name,
    address: machine.address,
    instanceId: machine.instanceId,
    sshPort: spec.sshPort,
    hostKey: keys.host.publicKey,
  };
  const adopt = spec.provider === "existing" && spec.adopt;
  const install = new Install(
    `${spec.name}-install`,
    {
      ...connection,
      adopt,
      kind: spec.kind,
      identity: spec.identity,
      bootHostKey: spec.provider === "existing" ? spec.hostKey : keys.boot.publicKey,
      ...(adopt ? {} : { hostPrivateKey: keys.host.privateKey }),
    },
    opts,
  );
  // What follows belongs to the install: when there is a new one, it goes before the machine is touched.
  const instanceId = install.installed;
  const identity = vault.createIdentity(spec, { parent: machine, dependsOn: [install] });
  const registrations = spec.placements.map(({ name, runner }): [string, Registration] => [
    name,
    new Registration(
      name,
      {
        host: spec.name,
        instanceId,
        runner: name,
        forge: runner.forge,
        scope: runner.scope,
        labels: runner.labels,
        ephemeral: runner.ephemeral,
      },
      { ...opts, dependsOn: [identity, ...vault.ready] },
    ),
  ]);
  const marks = Object.fromEntries(registrations.map(([name, { mark }]) => [name, mark]));
  const converge = new Converge(
    `${spec.name}-converge`,
    {
      ...connection,
      instanceId,
      revision: spec.revision,
      kind: spec.kind,
      identity: spec.identity,
      roleId: identity.roleId,
      registrations: marks,
    },
    { ...opts, dependsOn: [install, identity, ...registrations.map(([, each]) => each), ...gates] },
  );
  return { spec, machine, converge, marks };
}

interface OutputKey {
  readonly publicKey: pulumi.Output<string>;
  readonly privateKey: pulumi.Output<string>;
}

/**
 * Public halves are no secret, so previews show them. An adopted machine keeps the key it has; an existing one keeps
 * its key when it is installed again, so that the next install still knows it.
 */
function hostKeysOf(spec: Host, seed: pulumi.Output<string>): Record<HostKeyPurpose, OutputKey> {
  const existing = spec.provider === "existing" ? spec : undefined;
  const life = existing === undefined ? String(spec.generation) : "existing";
  const derive = (purpose: HostKeyPurpose): OutputKey => {
    const key = seed.apply((each) => deriveHostKey(each, spec.name, life, purpose));
    return { privateKey: key.privateKey, publicKey: pulumi.unsecret(key.publicKey) };
  };
  const host = derive("host");
  return {
    boot: derive("boot"),
    host: existing?.adopt ? { ...host, publicKey: pulumi.output(existing.hostKey) } : host,
  };
}

function createMachine(spec: Host, parts: FleetParts, keys: Record<HostKeyPurpose, OutputKey>): Machine {
  const { fleet, clouds, vault, settings } = parts;
  const opts = { protect: spec.protect };
  const userData = pulumi
    .all([keys.boot.publicKey, keys.boot.privateKey])
    .apply(([publicKey, privateKey]) => renderUserData({ publicKey, privateKey }, fleet.operators));
  const resize = {
    host: spec.name,
    sshPort: spec.sshPort,
    hostKeys: [keys.boot.publicKey, keys.host.publicKey],
    settings,
  };
  const boot = { userData, resize, after: vault.ready };
  switch (spec.provider) {
    case "hetzner":
      return new HetznerHost(spec.name, { spec, fleet: fleet.name, ...boot, ...clouds.hetzner }, opts);
    case "digitalocean":
      return new DigitalOceanHost(spec.name, { spec, ...boot, ...clouds.digitalocean }, opts);
    case "existing":
      return new ExistingHost(spec.name, spec, opts);
  }
}
