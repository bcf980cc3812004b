import digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import type { DigitalOceanHostSpec } from "../../fleet/model.ts";
import { type DigitalOceanParts, tagWords } from "../clouds.ts";
import { type BootArgs, bootImage, creationInputs, type Machine } from "../machine.ts";
import { drainBeforeResize } from "../resize.ts";

export interface DigitalOceanHostArgs extends BootArgs, DigitalOceanParts {
  readonly spec: DigitalOceanHostSpec;
}

/**
 * A DigitalOcean droplet. A new `generation` replaces it, deleting the old one first; image, keys, user data and region
 * are settled at its creation. A change of `size` drains it, then powers it off and on again.
 */
export class DigitalOceanHost extends pulumi.ComponentResource implements Machine {
  readonly address: pulumi.Output<string>;
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: DigitalOceanHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("flotilla:hosts:DigitalOceanHost", name, {}, opts);
    const { spec } = args;
    const droplet = new digitalocean.Droplet(
      `${name}-server`,
      {
        name,
        size: spec.size,
        region: spec.region,
        image: bootImage.digitalocean,
        // The installed system does not grow into a larger disk, and with it there is no way back to a smaller size.
        resizeDisk: false,
        sshKeys: [...args.sshKeyFingerprints],
        userData: args.userData,
        tags: [args.fleetTag, ...tagWords(spec).map((word) => args.tags.get(word) ?? word)],
      },
      {
        parent: this,
        dependsOn: [...args.after],
        deleteBeforeReplace: true,
        hooks: { beforeUpdate: [drainBeforeResize("size", args.resize)] },
        replacementTrigger: spec.generation,
        ignoreChanges: [...creationInputs, "region"],
      },
    );
    this.address = droplet.ipv4Address;
    this.instanceId = droplet.id;
    this.registerOutputs({});
  }
}
