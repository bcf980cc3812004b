/** Configuration → Fleet. Reports every fault at once and returns plain, readonly data. */
import type { z } from "zod";
import { ConfigError, type Fault, show } from "./faults.ts";
import { expandHosts } from "./hosts.ts";
import { resolveIdentity } from "./identity.ts";
import { kindOf } from "./kinds.ts";
import type { Fleet, Forge, Host, Kind, VaultSettings } from "./model.ts";
import type { NixSources } from "./nix-sources.ts";
import { placeRunners } from "./placement.ts";
import { hashOf } from "./revision.ts";
import { resolveRunners } from "./runners.ts";
import { type Credentials, configSchema, type FleetConfig, type VaultAuth } from "./schema.ts";
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
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap((issue) => describe(issue, raw.values)));
  const config = parsed.success ? parsed.data : salvage(raw.values);

  const name = `${raw.project}-${raw.stack}`;
  const forges = Object.entries(config.forges).map(
    ([key, { kind, url }]): Forge => ({ name: key, kind, url }),
  );
  const hosts = expandHosts(config, nix, faults);
  const runners = resolveRunners(config, forges, hosts, faults);
  const placed = placeRunners(hosts, runners, faults);
  checkCredentials(config, raw.cloudTokens, faults);

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
      rollout: { parallel: config.rollout.parallel, drainMinutes: config.rollout.drainMinutes },
    },
    credentials: config.credentials,
    vaultAuth: config.vault.auth,
  };
}

/** What is well-formed of a malformed configuration, so that faults across its parts are found as well. */
function salvage(values: Readonly<Record<string, unknown>>): FleetConfig {
  const pick = (key: keyof typeof configSchema.shape): unknown => {
    const shape = configSchema.shape[key];
    const whole = shape.safeParse(values[key]);
    if (whole.success) return whole.data;
    const value = values[key];
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return shape.safeParse(undefined).data ?? {};
    const entries = Object.entries(value).filter(
      ([name, entry]) => shape.safeParse({ [name]: entry }).success,
    );
    return shape.safeParse(Object.fromEntries(entries)).data ?? {};
  };
  return Object.fromEntries(
    Object.keys(configSchema.shape).map((key) => [key, pick(key as keyof typeof configSchema.shape)]),
  ) as FleetConfig;
}

function checkCredentials(config: FleetConfig, cloudTokens: ReadonlySet<string>, faults: Fault[]): void {
  for (const name of Object.keys(config.forges)) {
    if (name === "ssh")
      faults.push({ path: "forges.ssh", message: "this name is taken by credentials.ssh; choose another" });
    else if (config.credentials[name] === undefined)
      faults.push({
        path: `credentials.${name}`,
        message: `missing; run \`pulumi config set --path --secret 'flotilla:credentials.${name}.token'\``,
      });
  }
  for (const name of Object.keys(config.credentials)) {
    if (name !== "ssh" && config.forges[name] === undefined)
      faults.push({
        path: `credentials.${name}`,
        message: `there is no forge ${show(name)}; remove it or add the forge`,
      });
  }
  const providers = new Set<string>(Object.values(config.hosts).map(({ provider }) => provider));
  for (const [provider, key] of [
    ["hetzner", "hcloud:token"],
    ["digitalocean", "digitalocean:token"],
  ] as const) {
    if (providers.has(provider) && !cloudTokens.has(provider))
      faults.push({ path: key, message: `missing; run \`pulumi config set --secret ${key}\`` });
  }
  if ((providers.has("hetzner") || providers.has("digitalocean")) && config.sshFrom.length === 0)
    faults.push({
      path: "sshFrom",
      message:
        'missing; name the networks that you deploy from, e.g. ["203.0.113.4/32"]: the firewalls admit no other',
    });
}

function describe(issue: z.core.$ZodIssue, values: unknown): Fault[] {
  const path = issue.path.map(String).join(".");
  const hidden = issue.path[0] === "credentials" || (issue.path[0] === "vault" && issue.path[1] === "auth");
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    values,
  );
  const shown = hidden ? "the value" : show(found);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        path: [...issue.path.map(String), key].join("."),
        message: "unknown key; remove it or mend its spelling",
      }));
    case "invalid_type":
      return [
        {
          path,
          message:
            found === undefined
              ? `missing; must be ${article(issue.expected)}`
              : `${shown} is not ${article(issue.expected)}`,
        },
      ];
    case "too_small":
      return [{ path, message: `${shown} is too small; at least ${issue.minimum}` }];
    case "too_big":
      return [{ path, message: `${shown} is too big; at most ${issue.maximum}` }];
    case "invalid_value":
      return [{ path, message: `${shown} is none of ${issue.values.map(String).join(", ")}` }];
    case "invalid_union":
      if (issue.discriminator !== undefined) {
        const known = path.startsWith("forges")
          ? "github, forgejo, gitea"
          : "hetzner, digitalocean, existing";
        return [
          {
            path,
            message: found === undefined ? `missing; one of ${known}` : `${shown} is none of ${known}`,
          },
        ];
      }
      return [{ path, message: hidden ? issue.message : `${shown} ${issue.message}` }];
    case "invalid_key":
      return [{ path, message: `the name ${issue.issues[0]?.message ?? "is not valid"}` }];
    default:
      return [{ path, message: hidden ? issue.message : `${shown} ${issue.message}` }];
  }
}

function article(type: string): string {
  const word = type === "int" ? "whole number" : type === "record" ? "map" : type;
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}
