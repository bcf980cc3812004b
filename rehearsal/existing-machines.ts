/** Stand-in: the machines that a fleet takes as it finds them, as its configuration describes them. */
import { deriveHostKey } from "../fleet/host-keys.ts";
import type { Hosts } from "./hosts/index.ts";
import { asTree } from "./stack-config.ts";
import type { World } from "./world.ts";

interface ExistingMachine {
  readonly name: string;
  readonly address: string;
  readonly adopt: boolean;
  readonly arch: "x86_64" | "aarch64";
  readonly disk: string | undefined;
}

export function existingMachines(config: Readonly<Record<string, unknown>>): ExistingMachine[] {
  return Object.entries(asTree(config["flotilla:hosts"])).flatMap(([name, value]) => {
    const host = asTree(value);
    if (host.provider !== "existing" || typeof host.address !== "string") return [];
    const disk = typeof host.disk === "string" && host.disk.startsWith("/") ? host.disk : undefined;
    const arch = host.system === "aarch64-linux" ? "aarch64" : "x86_64";
    return [{ name, address: host.address, adopt: host.adopt === true, arch, disk }];
  });
}

/** The key that a machine shows before the fleet takes it. */
export function existingHostKey(world: World, name: string) {
  return deriveHostKey(world.secret("existing-machines"), name, "found", "host");
}

/** Boots those that the world does not have yet. */
export async function bootExistingMachines(
  world: World,
  hosts: Hosts,
  machines: readonly ExistingMachine[],
  operatorKey: string,
): Promise<void> {
  for (const { name, address, adopt, arch, disk } of machines) {
    const id = `existing-${name}`;
    if (hosts.state(id) !== undefined) continue;
    await hosts.bootExisting({
      id,
      name,
      address,
      hostKey: {
        private: existingHostKey(world, name).privateKey,
        public: existingHostKey(world, name).publicKey,
      },
      sshKeys: [operatorKey],
      system: adopt ? "nixos" : "ubuntu",
      hardware: { arch, ...(disk === undefined ? {} : { disks: [disk] }) },
    });
  }
}
