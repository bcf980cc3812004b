/** A small fleet, as the values of `flotilla:*`; a test names only what it is about. */
import { join } from "node:path";
import { ConfigError } from "../../../fleet/faults.ts";
import type { Fleet, Host } from "../../../fleet/model.ts";
import { type NixSources, nixSources, readNixSources } from "../../../fleet/nix-sources.ts";
import { parseFleet } from "../../../fleet/parse.ts";

export const root = join(import.meta.dirname, "..", "..", "..");
export const repoNix = readNixSources(join(root, "nix"));

export type Values = Readonly<Record<string, unknown>>;

export const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1Q4Gct9QzK5+ZpTn0p0tRSz/nAjWhGIFoLx8yeGgXP";

export const hetzner = { provider: "hetzner", type: "ccx23", location: "nbg1", tags: ["runners"] };
export const digitalOcean = {
  provider: "digitalocean",
  size: "s-2vcpu-4gb",
  region: "fra1",
  tags: ["runners"],
};
export const existing = {
  provider: "existing",
  address: "198.51.100.7",
  hostKey: publicKey,
  installId: "2026-11",
  tags: ["microvm"],
};
export const runner = { forge: "github", scope: { repo: "owner/name" }, on: ["runners"] };

export const smallFleet = {
  forges: { github: { kind: "github" }, code: { kind: "forgejo", url: "https://code.example.org/" } },
  credentials: { github: { token: "ghp-secret" }, code: { token: "code-secret" } },
  vault: { address: "https://vault.example.org:8200", auth: { token: "vault-secret" } },
  operators: { ann: publicKey },
  sshFrom: ["203.0.113.4/32"],
  hosts: { builder: hetzner },
  runners: { build: runner },
};

/** Profiles `runners`, `large`, `microvm`, `minter`, `prod`; what a test adds comes on top. */
export function nixWith(files: Readonly<Record<string, string>> = {}): NixSources {
  const tags = ["base", "large", "microvm", "minter", "prod", "runners"];
  return nixSources(
    new Map([
      ["flake.nix", "{ }"],
      ["flake.lock", "{ }"],
      ...tags.map((tag): [string, string] => [`profiles/${tag}.nix`, `{ /* ${tag} */ }`]),
      ...["digitalocean", "generic", "hetzner"].map((name): [string, string] => [`disks/${name}.nix`, "{ }"]),
      ...Object.entries(files),
    ]),
  );
}

/** @param values on top of the small fleet, key by key */
export function fleetOf(values: Values = {}, nix: NixSources = nixWith()): Fleet {
  return parse(values, nix).fleet;
}

export function parse(values: Values, nix: NixSources = nixWith(), clouds = ["hetzner", "digitalocean"]) {
  return parseFleet(
    {
      project: "flotilla",
      stack: "test",
      values: { ...smallFleet, ...values },
      cloudTokens: new Set(clouds),
    },
    nix,
  );
}

/** The lines of the one ConfigError that the values give. */
export function faultsOf(values: Values, nix?: NixSources, clouds?: readonly string[]): string[] {
  try {
    parse(values, nix, clouds === undefined ? undefined : [...clouds]);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

export function hostOf(fleet: Fleet, name: string): Host {
  const host = fleet.hosts.find((each) => each.name === name);
  if (host === undefined) throw new Error(`the fleet has no host ${name}`);
  return host;
}

/** Names of the hosts whose revision differs. */
export function touched(before: Fleet, after: Fleet): string[] {
  const known = new Map(before.hosts.map(({ name, revision }) => [name, revision]));
  return after.hosts.filter(({ name, revision }) => known.get(name) !== revision).map(({ name }) => name);
}
