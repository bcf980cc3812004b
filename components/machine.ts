/** The port between machines and the rest: what every provider's component gives, and nothing more. */
import type * as pulumi from "@pulumi/pulumi";
import type { ResizeArgs } from "./resize.ts";

export interface Machine extends pulumi.ComponentResource {
  /** Known in a preview unless the machine is new. */
  readonly address: pulumi.Output<string>;
  /** One life of the machine: a new one is installed, registered and converged anew. */
  readonly instanceId: pulumi.Output<string>;
}

/** What a machine takes on its way to the first login. */
export interface BootArgs {
  /** cloud-config with the boot host key: secret. */
  readonly userData: pulumi.Output<string>;
  /** How to reach the machine for a drain before its type changes. */
  readonly resize: ResizeArgs;
  /** What must stand before a machine is paid for. */
  readonly after: readonly pulumi.Resource[];
}

/** The Debian or Ubuntu that a cloud boots before nixos-anywhere replaces it. */
export const bootImage = { hetzner: "ubuntu-24.04", digitalocean: "ubuntu-24-04-x64" } as const;

/** Settled when the machine is made; a later change of them must not replace it. */
export const creationInputs = ["image", "sshKeys", "userData"];
