/** A cloud changes a server's type by powering it off, so its jobs end first. */
import * as pulumi from "@pulumi/pulumi";

export interface ResizeArgs {
  readonly host: string;
  readonly sshPort: number;
  /** Of the machine before and after its install: it may have been refused one. */
  readonly hostKeys: readonly pulumi.Output<string>[];
  /** The provider's settings, one JSON document. */
  readonly settings: string;
}

/**
 * Runs in the program just before the cloud's own update, which no resource of ours could precede.
 * @param input the server's input whose change powers it off
 */
export function drainBeforeResize(input: "serverType" | "size", args: ResizeArgs): pulumi.ResourceHook {
  const { host, sshPort, settings } = args;
  return new pulumi.ResourceHook(
    `${host}-drain-before-resize`,
    async ({ oldInputs, newInputs, oldOutputs }) => {
      const [before, after] = [oldInputs, newInputs].map((inputs) => Reflect.get(inputs ?? {}, input));
      if (before === after) return;
      await pulumi.log.info(`${host} becomes ${after}: draining it before it is powered off`);
      const address = String(Reflect.get(oldOutputs ?? {}, "ipv4Address"));
      const hostKeys = await new Promise<string[]>(
        (resolve) => void pulumi.all([...args.hostKeys]).apply(resolve),
      );
      // Loaded when it is needed: a preview does not pay for it.
      const { drainMachine } = await import("../provider/drain-machine.ts");
      await drainMachine({ host, address, sshPort, hostKeys }, settings, {
        progress: () => undefined,
        warn: (message) => void pulumi.log.warn(message),
      });
    },
  );
}
