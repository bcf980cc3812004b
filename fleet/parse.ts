/** Configuration → Fleet. Reports every fault at once and returns plain, readonly data. */
import { ConfigError, type Fault, oneOf, show } from "./faults.ts";
import { expandHosts } from "./hosts.ts";
import { resolveIdentity } from "./identity.ts";
import { kindOf } from "./kinds.ts";
import type { Fleet, Forge, Host, Kind, VaultSettings } from "./model.ts";
import type { NixSources } from "./nix-sources.ts";
import { placeRunners } from "./placement.ts";
import { hashOf } from "./revision.ts";
import { resolveRunners } from "./runners.ts";
import { salvage, type Written, writtenIn } from "./salvage.ts";
import { type Credentials, configSchema, type FleetConfig, type VaultAuth } from "./schema.ts";
import { describeIssue } from "./schema-faults.ts";
import { wavesOf } from "./waves.ts";

export interface RawConfig {
  readonly project: string;
  readonly stack: string;
  /** The values of the keys `flotilla:*`, by name. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Clouds whose API token is configured. */
  readonly cloudTokens: ReadonlySet<string>;
}

export interface ParsedFleet {
  readonly fleet: Fleet;
  readonly credentials: Credentials;
  readonly vaultAuth: VaultAuth;
}

/** @throws ConfigError with all faults. */
export function parseFleet(raw: RawConfig, nix: NixSources): ParsedFleet {
  const faults: Fault[] = [];
  const parsed = configSchema.safeParse(raw.values);
  if (!parsed.success)
    faults.push(...parsed.error.issues.flatMap((issue) => describeIssue(issue, raw.values)));
  const config = inOrder(parsed.success ? parsed.data : salvage(raw.values));
  const written = writtenIn(raw.values, config);

  const name = `${raw.project}-${raw.stack}`;
  const forges = Object.entries(config.forges).map(
    ([key, { kind, url }]): Forge => ({ name: key, kind, url }),
  );
  const hosts = expandHosts(config, nix, faults);
  const runners = resolveRunners(config, forges, hosts, written, faults);
  const placed = placeRunners(hosts, runners, faults);
  checkCredentials(written, raw.cloudTokens, faults);
  checkAccess(raw.values, written, faults);
  const { canary } = config.rollout;
  if (typeof canary === "string" && !written.tags.has(canary))
    faults.push({
      path: "rollout.canary",
      message: `no host has the tag ${show(canary)}, so none would go first; ${oneOf(written.tags)}, or give a number`,
    });

  if (faults.length > 0) throw new ConfigError(faults);

  const vault: VaultSettings = {
    address: config.vault.address,
    mount: config.vault.mount ?? name,
    approleMount: config.vault.approleMount ?? name,
    ...(config.vault.namespace === undefined ? {} : { namespace: config.vault.namespace }),
    ownsMount: config.vault.mount === undefined,
    ownsApproleMount: config.vault.approleMount === undefined,
  };
  const authorizedKeys = Object.values(config.operators).toSorted();
  const finished = placed.map((host): Host => {
    const kind = kindOf(host, forges, vault, nix);
    const identity = resolveIdentity(host, name, authorizedKeys);
    return { ...host, kind, identity, revision: `${kind.revision}-${hashOf(identity, 8)}` };
  });
  const kinds = new Map<string, Kind>(finished.map(({ kind }) => [kind.name, kind]));

  return {
    fleet: {
      name,
      hosts: finished,
      kinds: [...kinds.values()],
      runners,
      forges,
      vault,
      sshFrom: config.sshFrom,
      operators: authorizedKeys,
      waves: wavesOf(finished, config.rollout.canary),
      rollout: {
        parallel: config.rollout.parallel,
        drainMinutes: config.rollout.drainMinutes,
        bootMinutes: config.rollout.bootMinutes,
      },
    },
    credentials: config.credentials,
    vaultAuth: config.vault.auth,
  };
}

/** By name: the order in which an operator wrote groups and runners decides nothing. */
function inOrder(config: FleetConfig): FleetConfig {
  const { hosts, runners, forges } = config;
  return { ...config, hosts: byName(hosts), runners: byName(runners), forges: byName(forges) };
}

function byName<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function checkCredentials(written: Written, cloudTokens: ReadonlySet<string>, faults: Fault[]): void {
  for (const name of written.forges) {
    if (name === "ssh")
      faults.push({ path: "forges.ssh", message: "this name is taken by credentials.ssh; choose another" });
    else if (!written.credentials.has(name))
      faults.push({
        path: `credentials.${name}`,
        message: `missing; run \`pulumi config set --path --secret 'flotilla:credentials.${name}.token'\``,
      });
  }
  for (const name of written.credentials) {
    if (name !== "ssh" && !written.forges.has(name))
      faults.push({
        path: `credentials.${name}`,
        message: `there is no forge ${show(name)}; remove it or add the forge`,
      });
  }
  for (const [provider, key] of [
    ["hetzner", "hcloud:token"],
    ["digitalocean", "digitalocean:token"],
  ] as const) {
    if (written.providers.has(provider) && !cloudTokens.has(provider))
      faults.push({ path: key, message: `missing; run \`pulumi config set --secret ${key}\`` });
  }
}

/** Who may log in, and from where. */
function checkAccess(
  values: Readonly<Record<string, unknown>>,
  { providers }: Written,
  faults: Fault[],
): void {
  if (providers.size > 0 && isEmpty(values.operators))
    faults.push({
      path: "operators",
      message:
        'missing; name who may log in, with their SSH public keys, e.g. { ann: "ssh-ed25519 AAAA…" }: hosts know no other way in',
    });
  if ((providers.has("hetzner") || providers.has("digitalocean")) && isEmpty(values.sshFrom))
    faults.push({
      path: "sshFrom",
      message:
        'missing; name the networks that you deploy from, e.g. ["203.0.113.4/32"]: the firewalls admit no other',
    });
}

/** Absent, or an empty map or list; anything else is the schema's to judge. */
function isEmpty(value: unknown): boolean {
  return (
    value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0)
  );
}
