/** A flake directory as the provider writes it, with as little in it as evaluates. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity, Kind } from "../../../fleet/model.ts";

export function kind(name: string, more: Partial<Kind> = {}): Kind {
  return {
    name,
    revision: `${name}-revision`,
    system: "x86_64-linux",
    provider: "hetzner",
    disk: { layout: "single", device: "/dev/sda" },
    tags: ["runners"],
    vault: { address: "http://127.0.0.1:1", mount: "secret", approleMount: "approle" },
    runners: [
      {
        name: "build",
        forge: { kind: "github", url: "https://github.test" },
        scope: { kind: "repo", owner: "o", name: "r" },
        labels: ["nix"],
        isolation: "host",
        ephemeral: true,
        perHost: 1,
        capacity: 1,
      },
    ],
    ...more,
  };
}

export function identity(name: string, authorizedKey: string): Identity {
  return {
    version: 1,
    name,
    fleet: "flotilla-test",
    vaultRole: name,
    authorizedKeys: [authorizedKey],
    runners: [{ name: `${name}-build-1`, runner: "build", instance: 1 }],
  };
}

export interface FlakeNode {
  readonly kind: string;
  readonly identity: Identity;
  readonly drvPath?: string;
}

export function writeFlake(
  directory: string,
  kinds: readonly Kind[],
  nodes: readonly FlakeNode[] = [],
): void {
  for (const name of ["kinds", "profiles", "disks", "identities"])
    mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, "flake.nix"), "{ }");
  writeFileSync(join(directory, "profiles/runners.nix"), "{ }");
  writeFileSync(join(directory, "disks/single.nix"), "{ }");
  for (const each of kinds) writeFileSync(join(directory, `kinds/${each.name}.json`), JSON.stringify(each));
  const hosts = nodes.map(({ kind: kindName, identity: who, drvPath = null }) => {
    const identityFile = join(directory, "identities", `${who.name}.json`);
    writeFileSync(identityFile, JSON.stringify(who));
    return [who.name, { kind: kindName, tags: ["runners"], identityFile, drvPath }];
  });
  writeFileSync(join(directory, "hosts.json"), JSON.stringify(Object.fromEntries(hosts)));
}
