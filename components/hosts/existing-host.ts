import * as pulumi from "@pulumi/pulumi";
import type { ExistingHostSpec } from "../../fleet/model.ts";
import type { Machine } from "../machine.ts";

/**
 * A machine that is there already. Nothing is created and nothing deleted; a new `installId` stands for a new life of
 * it, since installing wipes its disk.
 */
export class ExistingHost extends pulumi.ComponentResource implements Machine {
  readonly address: pulumi.Output<string>;
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, spec: ExistingHostSpec, opts?: pulumi.ComponentResourceOptions) {
    super("flotilla:hosts:ExistingHost", name, {}, opts);
    this.address = pulumi.output(spec.address);
    this.instanceId = pulumi.output(spec.installId ?? "adopted");
    this.registerOutputs({});
  }
}
