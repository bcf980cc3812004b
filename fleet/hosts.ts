/** Host groups → hosts. */
import { type Fault, show } from "./faults.ts";
import type { DigitalOceanHostSpec, Disk, ExistingHostSpec, HetznerHostSpec, System } from "./model.ts";
import type { NixSources } from "./nix-sources.ts";
import type { FleetConfig, HostGroup } from "./schema.ts";

/** What is added to a host after its group is expanded. */
type Later = "kind" | "identity" | "revision" | "placements";
/** A host before runners are placed and its kind is known. `disk` is absent where none may be laid out. */
export type ExpandedHost = (
  | Omit<HetznerHostSpec, Later>
  | Omit<DigitalOceanHostSpec, Later>
  | Omit<ExistingHostSpec, Later>
) & { readonly disk?: Disk };

const defaultLayout = { hetzner: "hetzner", digitalocean: "digitalocean", existing: "generic" } as const;

/** Expands counts and fills defaults; a host's name never depends on another group. */
export function expandHosts(config: FleetConfig, nix: NixSources, faults: Fault[]): ExpandedHost[] {
  const groups = Object.entries(config.hosts);
  const owner = new Map<string, string>();
  checkAddresses(config, faults);
  return groups.flatMap(([group, entry]) => {
    checkTags(group, entry, nix, faults);
    const disk = resolveDisk(group, entry, nix, faults);
    if (entry.provider === "existing") checkConsent(group, entry, nix, faults);
    const names = hostNames(group, entry);
    checkGenerations(group, entry, names, faults);
    return names.flatMap((name) => {
      const other = owner.get(name);
      if (other !== undefined) {
        faults.push({
          path: `hosts.${group}`,
          message: `host ${show(name)} is also made by hosts.${other}; rename one of the groups`,
        });
        return [];
      }
      owner.set(name, group);
      return [expand(name, group, entry, disk, config.release)];
    });
  });
}

function hostNames(group: string, entry: HostGroup): string[] {
  if (entry.provider === "existing" || entry.count === undefined) return [group];
  return Array.from({ length: entry.count }, (_, index) => `${group}-${index + 1}`);
}

function expand(
  name: string,
  group: string,
  entry: HostGroup,
  disk: Disk | undefined,
  release: readonly string[],
): ExpandedHost {
  const tags = [...new Set(entry.tags)].toSorted();
  const base = {
    name,
    group,
    tags,
    protect: tags.includes("prod") && !release.includes(name) && !release.includes("*"),
    ...(disk === undefined ? {} : { disk }),
  };
  switch (entry.provider) {
    case "hetzner": {
      const { provider, type, location } = entry;
      const generation = entry.generations[name] ?? entry.generation;
      return { ...base, provider, type, location, generation, sshPort: 22, system: hetznerSystem(type) };
    }
    case "digitalocean": {
      const { provider, size, region } = entry;
      const generation = entry.generations[name] ?? entry.generation;
      return { ...base, provider, size, region, generation, sshPort: 22, system: "x86_64-linux" };
    }
    case "existing": {
      const { provider, address, sshPort, hostKey, system, installId, adopt } = entry;
      return {
        ...base,
        provider,
        address,
        sshPort,
        hostKey: hostKey.split(" ").slice(0, 2).join(" "),
        system,
        adopt,
        generation: 1,
        ...(installId === undefined ? {} : { installId }),
      };
    }
  }
}

/** Hetzner's Ampere types are called cax*; all others are x86 (docs.hetzner.com/cloud/servers/overview). */
function hetznerSystem(type: string): System {
  return type.startsWith("cax") ? "aarch64-linux" : "x86_64-linux";
}

function checkTags(group: string, entry: HostGroup, nix: NixSources, faults: Fault[]): void {
  entry.tags.forEach((tag, index) => {
    if (!nix.profiles.has(tag))
      faults.push({
        path: `hosts.${group}.tags.${index}`,
        message: `${show(tag)} has no profile; add nix/profiles/${tag}.nix or use one of ${[...nix.profiles].toSorted().join(", ")}`,
      });
  });
}

function checkGenerations(group: string, entry: HostGroup, names: readonly string[], faults: Fault[]): void {
  if (entry.provider === "existing") return;
  for (const name of Object.keys(entry.generations)) {
    if (!names.includes(name))
      faults.push({
        path: `hosts.${group}.generations.${name}`,
        message: `the group has no host of this name; one of ${names.join(", ")}`,
      });
  }
}

function resolveDisk(group: string, entry: HostGroup, nix: NixSources, faults: Fault[]): Disk | undefined {
  const path = `hosts.${group}.disk`;
  if (entry.provider === "existing" && entry.adopt) {
    if (entry.disk !== undefined)
      faults.push({
        path,
        message:
          "an adopted machine keeps its disks; remove it, or replace adopt by installId to wipe the machine",
      });
    return undefined;
  }
  const layout = defaultLayout[entry.provider];
  if (entry.disk === undefined) return { layout };
  if (entry.disk.startsWith("/")) return { layout, device: entry.disk };
  if (nix.disks.has(entry.disk)) return { layout: entry.disk };
  faults.push({
    path,
    message: `${show(entry.disk)} is not an absolute path; use /dev/disk/by-id/… or a layout of nix/disks (${[...nix.disks].toSorted().join(", ")})`,
  });
  return { layout };
}

/** One machine under two names would be wiped by the one while it runs the jobs of the other. */
function checkAddresses(config: FleetConfig, faults: Fault[]): void {
  const owner = new Map<string, string>();
  for (const [group, entry] of Object.entries(config.hosts)) {
    if (entry.provider !== "existing") continue;
    const endpoint = `${entry.address} ${entry.sshPort}`;
    const other = owner.get(endpoint);
    if (other !== undefined)
      faults.push({
        path: `hosts.${group}.address`,
        message: `${show(entry.address)} is the machine of hosts.${other} already; remove one of the two or mend the address`,
      });
    owner.set(endpoint, group);
  }
}

function checkConsent(
  group: string,
  entry: Extract<HostGroup, { provider: "existing" }>,
  nix: NixSources,
  faults: Fault[],
): void {
  const path = `hosts.${group}`;
  if (!entry.adopt && entry.installId === undefined)
    faults.push({
      path,
      message:
        "nothing says what may be done to this machine; set installId (wipes the disk and installs NixOS) or adopt: true (keeps both)",
    });
  if (entry.adopt && entry.installId !== undefined)
    faults.push({ path, message: "adopt keeps the disk and installId wipes it; remove one of them" });
  if (entry.adopt && !entry.hostKey.startsWith("ssh-ed25519 "))
    faults.push({
      path: `${path}.hostKey`,
      message: "after its first switch an adopted machine shows its Ed25519 key only; give that one",
    });
  if (entry.adopt && !nix.hosts.has(group))
    faults.push({
      path,
      message: `an adopted machine needs its hardware configuration; add nix/hosts/${group}.nix`,
    });
}
