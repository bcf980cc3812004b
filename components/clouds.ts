/** What a fleet has once per cloud: a key and a firewall that admits SSH from the operators' networks alone. */
import digitalocean from "@pulumi/digitalocean";
import hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import { deriveHostKey } from "../fleet/host-keys.ts";
import type { Fleet, Host, Provider } from "../fleet/model.ts";

export interface HetznerParts {
  readonly sshKeyNames: readonly pulumi.Output<string>[];
  readonly firewallId: pulumi.Output<string>;
}

export interface DigitalOceanParts {
  readonly sshKeyFingerprints: readonly pulumi.Output<string>[];
  /** Tag that the fleet's firewall selects by. */
  readonly fleetTag: pulumi.Output<string>;
  /** By name: `tag:prod`, `group:builder`. They stay in an account when the last droplet goes, unless removed. */
  readonly tags: ReadonlyMap<string, pulumi.Output<string>>;
}

export interface Clouds {
  readonly hetzner: HetznerParts;
  readonly digitalocean: DigitalOceanParts;
}

/** WireGuard, the fleet's private network, answers nobody whose key it does not know. */
const wireguardPort = 51820;
const anywhere = ["0.0.0.0/0", "::/0"];

/**
 * Creates the parts of the clouds that the fleet uses. Operators log in by the user data. The clouds' own key opens
 * nothing: it is the fleet's, derived from its seed, and there so that a cloud sets no root password. An operator's would
 * be refused where the account, or another fleet in it, has it already.
 */
export function cloudsOf(
  fleet: Fleet,
  seed: pulumi.Output<string>,
  opts: pulumi.CustomResourceOptions,
): Clouds {
  const publicKey = pulumi.unsecret(
    seed.apply((each) => deriveHostKey(each, fleet.name, "cloud", "boot").publicKey),
  );
  const uses = (provider: Provider) => fleet.hosts.some((host) => host.provider === provider);
  const hetzner = uses("hetzner") ? createHetzner(fleet, publicKey, opts) : undefined;
  const droplets = uses("digitalocean") ? createDigitalOcean(fleet, publicKey, opts) : undefined;
  return {
    get hetzner() {
      if (hetzner === undefined) throw new Error("no host of this fleet is on Hetzner Cloud");
      return hetzner;
    },
    get digitalocean() {
      if (droplets === undefined) throw new Error("no host of this fleet is on DigitalOcean");
      return droplets;
    },
  };
}

function createHetzner(
  fleet: Fleet,
  publicKey: pulumi.Output<string>,
  opts: pulumi.CustomResourceOptions,
): HetznerParts {
  const sshKey = new hcloud.SshKey(
    "hetzner-key",
    { name: fleet.name, publicKey, labels: { fleet: fleet.name } },
    opts,
  );
  const firewall = new hcloud.Firewall(
    "hetzner-firewall",
    {
      name: fleet.name,
      labels: { fleet: fleet.name },
      rules: [
        { direction: "in", protocol: "tcp", port: "22", sourceIps: [...fleet.sshFrom] },
        { direction: "in", protocol: "udp", port: String(wireguardPort), sourceIps: anywhere },
        { direction: "in", protocol: "icmp", sourceIps: anywhere },
      ],
    },
    opts,
  );
  return { sshKeyNames: [sshKey.name], firewallId: firewall.id };
}

function createDigitalOcean(
  fleet: Fleet,
  publicKey: pulumi.Output<string>,
  opts: pulumi.CustomResourceOptions,
): DigitalOceanParts {
  const sshKey = new digitalocean.SshKey("digitalocean-key", { name: fleet.name, publicKey }, opts);
  const tag = new digitalocean.Tag("digitalocean-tag", { name: fleet.name }, opts);
  const outbound = (protocol: string, portRange?: string) => ({
    protocol,
    destinationAddresses: anywhere,
    ...(portRange === undefined ? {} : { portRange }),
  });
  new digitalocean.Firewall(
    "digitalocean-firewall",
    {
      name: fleet.name,
      tags: [tag.id],
      inboundRules: [
        { protocol: "tcp", portRange: "22", sourceAddresses: [...fleet.sshFrom] },
        { protocol: "udp", portRange: String(wireguardPort), sourceAddresses: anywhere },
        { protocol: "icmp", sourceAddresses: anywhere },
      ],
      outboundRules: [outbound("tcp", "1-65535"), outbound("udp", "1-65535"), outbound("icmp")],
    },
    opts,
  );
  const words = fleet.hosts.filter(({ provider }) => provider === "digitalocean").flatMap(tagWords);
  const tags = [...new Set(words)].map((word): [string, pulumi.Output<string>] => [
    word,
    new digitalocean.Tag(`digitalocean-${word.replace(":", "-")}`, { name: `${fleet.name}:${word}` }).id,
  ]);
  return {
    sshKeyFingerprints: [sshKey.fingerprint],
    fleetTag: tag.id,
    tags: new Map(tags),
  };
}

/** What a droplet is tagged with, beside the fleet. */
export function tagWords(host: Pick<Host, "group" | "tags">): string[] {
  return [`group:${host.group}`, ...host.tags.map((tag) => `tag:${tag}`)];
}
