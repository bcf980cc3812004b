/**
 * The words of a fleet as plain, readonly data: what `parseFleet` returns and all that the rest of the
 * program knows of the operator's configuration.
 */

export type Provider = "hetzner" | "digitalocean" | "existing";
export type System = "x86_64-linux" | "aarch64-linux";
export type Isolation = "host" | "container" | "nspawn" | "microvm";
export type ForgeKind = "github" | "forgejo" | "gitea";

/** A server that runners register with. */
export interface Forge {
  readonly name: string;
  readonly kind: ForgeKind;
  /** Base address without a trailing slash, e.g. `https://github.com`. */
  readonly url: string;
}

/** What a runner is registered for. */
export type Scope =
  | { readonly kind: "repo"; readonly owner: string; readonly name: string }
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "org"; readonly name: string }
  | { readonly kind: "enterprise"; readonly name: string }
  | { readonly kind: "instance" };

/** One entry under `runners`. */
export interface Runner {
  readonly name: string;
  readonly forge: string;
  readonly scope: Scope;
  /** Tags of the hosts that carry it; a host needs one of them. */
  readonly on: readonly string[];
  readonly labels: readonly string[];
  readonly isolation: Isolation;
  /** A fresh runner for each job. */
  readonly ephemeral: boolean;
  /** Registrations on each host. */
  readonly perHost: number;
  /** Jobs at once within one registration (Forgejo, Gitea). */
  readonly capacity: number;
  /** Size of the VM pool; set when `isolation` is `microvm`. */
  readonly pool?: {
    readonly min: number;
    readonly max: number;
    readonly vcpus: number;
    readonly memoryMib: number;
  };
}

/** Where the disk layout comes from and which device it takes. */
export interface Disk {
  /** A file of `nix/disks`, without `.nix`. */
  readonly layout: string;
  /** Absolute path of the device; the layout's own default when absent. */
  readonly device?: string;
}

/** Where hosts find their secrets. */
export interface VaultAddress {
  readonly address: string;
  /** KV version 2 mount that holds `hosts/<host>/<runner>`. */
  readonly mount: string;
  /** AppRole auth mount; each host has a role of its name there. */
  readonly approleMount: string;
  readonly namespace?: string;
}

export interface VaultSettings extends VaultAddress {
  /** The mount is the fleet's own: made and removed with it. False when the operator named one that exists. */
  readonly ownsMount: boolean;
  readonly ownsApproleMount: boolean;
}

/** All that Nix evaluates of a host. Hosts whose kinds are equal share one system closure. */
export interface Kind {
  /** Tags and a short hash of the content, e.g. `large-prod-runners-1f3a9c`. */
  readonly name: string;
  /** Hash of the kind and of exactly the Nix files it uses. Carried by the built system. */
  readonly revision: string;
  readonly system: System;
  readonly provider: Provider;
  /** Absent on adopted hosts: their hardware comes from `nix/hosts/<name>.nix`. */
  readonly disk?: Disk;
  readonly tags: readonly string[];
  /** Set when `nix/hosts/<name>.nix` exists: the host is a kind of its own. */
  readonly host?: string;
  readonly vault: VaultAddress;
  readonly runners: readonly KindRunner[];
}

/** A runner as Nix sees it: no host name, no credential. */
export interface KindRunner {
  readonly name: string;
  readonly forge: { readonly kind: ForgeKind; readonly url: string };
  readonly scope: Scope;
  readonly labels: readonly string[];
  readonly isolation: Isolation;
  readonly ephemeral: boolean;
  readonly perHost: number;
  readonly capacity: number;
  readonly pool?: Runner["pool"];
}

/** What differs between hosts of a kind. Delivered to `/etc/flotilla/identity.json`, never evaluated by Nix. */
export interface Identity {
  readonly version: 1;
  readonly name: string;
  readonly fleet: string;
  readonly vaultRole: string;
  /** Keys that may log in as root, in the form of `authorized_keys`, sorted. */
  readonly authorizedKeys: readonly string[];
  readonly runners: readonly { readonly name: string; readonly runner: string; readonly instance: number }[];
}

/** One runner on one host: what a forge lists. */
export interface Placement {
  /** Name in the forge and of the secret in Vault, e.g. `builder-1-docker-build-2`. */
  readonly name: string;
  readonly runner: Runner;
  readonly instance: number;
}

interface HostBase {
  readonly name: string;
  readonly group: string;
  readonly tags: readonly string[];
  readonly system: System;
  readonly sshPort: number;
  /** Grows by the operator's hand; a new value replaces the machine. */
  readonly generation: number;
  /** Guards all of the host's resources against removal. */
  readonly protect: boolean;
  readonly kind: Kind;
  readonly identity: Identity;
  /** `<kind revision>-<identity hash>`: what the host must run. */
  readonly revision: string;
  readonly placements: readonly Placement[];
}

export interface HetznerHostSpec extends HostBase {
  readonly provider: "hetzner";
  readonly type: string;
  readonly location: string;
}

export interface DigitalOceanHostSpec extends HostBase {
  readonly provider: "digitalocean";
  readonly size: string;
  readonly region: string;
}

export interface ExistingHostSpec extends HostBase {
  readonly provider: "existing";
  readonly address: string;
  /** The public key that the machine shows today, in the form `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  /** Naming it is the consent to wipe the disk; a new value wipes it again. Absent when adopted. */
  readonly installId?: string;
  readonly adopt: boolean;
}

export type Host = HetznerHostSpec | DigitalOceanHostSpec | ExistingHostSpec;

/** Hosts that converge together. */
export interface Wave {
  readonly name: string;
  readonly hosts: readonly string[];
}

/** Everything one Pulumi stack manages. */
export interface Fleet {
  /** `<project>-<stack>`; marks what is ours in clouds, Vault and forges. */
  readonly name: string;
  readonly hosts: readonly Host[];
  readonly kinds: readonly Kind[];
  readonly runners: readonly Runner[];
  readonly forges: readonly Forge[];
  readonly vault: VaultSettings;
  /** Networks (CIDR) from which SSH is allowed. */
  readonly sshFrom: readonly string[];
  readonly operators: readonly string[];
  readonly waves: readonly Wave[];
  readonly rollout: {
    readonly parallel: number;
    readonly drainMinutes: number;
    readonly bootMinutes: number;
  };
}
