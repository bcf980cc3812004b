/** The provider's resources as the program sees them. */
import * as pulumi from "@pulumi/pulumi";
import type { Identity, Kind, Scope } from "../fleet/model.ts";

export class FlotillaProvider extends pulumi.ProviderResource {
  /** @param args.settings one JSON document, see `provider/settings.ts` */
  constructor(
    name: string,
    args: { readonly settings: pulumi.Input<string> },
    opts?: pulumi.ResourceOptions,
  ) {
    super("flotilla", name, { settings: pulumi.secret(args.settings) }, opts);
  }
}

export class Seed extends pulumi.CustomResource {
  declare readonly seed: pulumi.Output<string>;
  constructor(name: string, opts?: pulumi.CustomResourceOptions) {
    super("flotilla:index:Seed", name, { seed: undefined }, opts);
  }
}

/** How to reach a machine. `instanceId` names one life of it: a new one replaces what was done to the old. */
export interface MachineArgs {
  readonly host: string;
  readonly instanceId: pulumi.Input<string>;
  readonly address: pulumi.Input<string>;
  readonly sshPort: number;
  readonly hostKey: pulumi.Input<string>;
}

export interface InstallArgs extends MachineArgs {
  readonly bootHostKey: pulumi.Input<string>;
  readonly hostPrivateKey?: pulumi.Input<string>;
  readonly adopt: boolean;
  readonly kind: Kind;
  readonly identity: Identity;
}

/** NixOS on a machine, once per `instanceId`. No other change of its inputs does anything. */
export class Install extends pulumi.CustomResource {
  /** The `instanceId` that was installed. */
  declare readonly installed: pulumi.Output<string>;
  constructor(name: string, args: InstallArgs, opts?: pulumi.CustomResourceOptions) {
    super("flotilla:index:Install", name, { ...args, installed: undefined }, opts);
  }
}

export interface RegistrationArgs {
  readonly host: string;
  readonly instanceId: pulumi.Input<string>;
  readonly runner: string;
  readonly forge: string;
  readonly scope: Scope;
  readonly labels: readonly string[];
  readonly ephemeral: boolean;
}

export class Registration extends pulumi.CustomResource {
  /** Changes when the credential in Vault is a new one. */
  declare readonly mark: pulumi.Output<string>;
  constructor(name: string, args: RegistrationArgs, opts?: pulumi.CustomResourceOptions) {
    super("flotilla:index:Registration", name, { ...args, mark: undefined }, opts);
  }
}

export interface ConvergeArgs extends MachineArgs {
  readonly revision: string;
  readonly kind: Kind;
  readonly identity: Identity;
  /** Of the host's AppRole. */
  readonly roleId: pulumi.Input<string>;
  /** `mark` by runner. */
  readonly registrations: Readonly<Record<string, pulumi.Input<string>>>;
}

/** What a host runs. Updated in place; replaced with its machine alone; its removal drains the host. */
export class Converge extends pulumi.CustomResource {
  /** What the host was seen to run. */
  declare readonly revision: pulumi.Output<string>;
  constructor(name: string, args: ConvergeArgs, opts?: pulumi.CustomResourceOptions) {
    super("flotilla:index:Converge", name, { ...args }, opts);
  }
}

export interface GateArgs {
  readonly wave: string;
  /** Revision by host. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly runners: Readonly<
    Record<string, { readonly forge: string; readonly scope: Scope; readonly mark: pulumi.Input<string> }>
  >;
  readonly patienceSeconds: number;
}

export class Gate extends pulumi.CustomResource {
  constructor(name: string, args: GateArgs, opts?: pulumi.CustomResourceOptions) {
    super("flotilla:index:Gate", name, { ...args }, opts);
  }
}
