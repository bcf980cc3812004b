import hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import type { HetznerHostSpec } from "../../fleet/model.ts";
import type { HetznerParts } from "../clouds.ts";
import { type BootArgs, bootImage, creationInputs, type Machine } from "../machine.ts";
import { drainBeforeResize } from "../resize.ts";

export interface HetznerHostArgs extends BootArgs, HetznerParts {
  readonly spec: HetznerHostSpec;
  readonly fleet: string;
}

/**
 * A Hetzner Cloud server. A new `generation` replaces it, deleting the old one first; image, keys, user data and
 * location are settled at its creation. A change of `type` drains it, then powers it off and on again.
 */
export class HetznerHost extends pulumi.ComponentResource implements Machine {
  readonly address: pulumi.Output<string>;
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: HetznerHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("flotilla:hosts:HetznerHost", name, {}, opts);
    const { spec, fleet } = args;
    const server = new hcloud.Server(
      `${name}-server`,
      {
        name,
        serverType: spec.type,
        location: spec.location,
        image: bootImage.hetzner,
        // The installed system does not grow into a larger disk, and with it there is no way back to a smaller type.
        keepDisk: true,
        sshKeys: [...args.sshKeyNames],
        userData: args.userData,
        firewallIds: [args.firewallId.apply(Number)],
        labels: {
          fleet,
          group: spec.group,
          ...Object.fromEntries(spec.tags.map((tag) => [`tag.${tag}`, "true"])),
        },
      },
      {
        parent: this,
        dependsOn: [...args.after],
        deleteBeforeReplace: true,
        hooks: { beforeUpdate: [drainBeforeResize("serverType", args.resize)] },
        replacementTrigger: spec.generation,
        ignoreChanges: [...creationInputs, "location"],
      },
    );
    this.address = server.ipv4Address;
    this.instanceId = server.id;
    this.registerOutputs({});
  }
}
