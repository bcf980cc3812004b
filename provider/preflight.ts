/** Reasons not to install on a machine, or not to switch an adopted one. Pure; an empty list means go. */
import type { Kind } from "../fleet/model.ts";
import type { MachineFacts } from "./machine-facts.ts";

/** kexec needs 1.5 GiB without swap (nixos-anywhere's requirements); the kernel keeps some of it for itself. */
const memoryMib = 1400;

export function installFaults(facts: MachineFacts, kind: Kind): string[] {
  const faults = commonFaults(facts, kind);
  if (facts.memoryMib < memoryMib)
    faults.push(
      `it has ${facts.memoryMib} MiB of memory; nixos-anywhere's kexec needs 1.5 GiB: choose a larger type`,
    );
  if (kind.disk?.device !== undefined && facts.device === "")
    faults.push(`it has no disk ${kind.disk.device}; see \`ls /dev/disk/by-id\` on it and mend \`disk\``);
  return faults;
}

/** What the hardware configuration of an adopted machine says, as the build wrote it into the system. */
export interface ConfiguredHardware {
  readonly root: { readonly device: string; readonly fsType: string };
  /** `efi` or `bios`. */
  readonly firmware: string;
  /** Names of the links that the configuration gives addresses to. */
  readonly links: readonly string[];
}

/** @param facts asked with the configured root as the device. */
export function adoptFaults(facts: MachineFacts, kind: Kind, configured: ConfiguredHardware): string[] {
  const faults = commonFaults(facts, kind);
  const file = `nix/hosts/${kind.host ?? "<name>"}.nix`;
  if (facts.os !== "nixos")
    faults.push(
      `it runs ${facts.os || "an unknown system"}, not NixOS; install NixOS on it, or consent to a wipe with installId`,
    );
  const { device, fsType } = configured.root;
  if (facts.device === "" || facts.device !== facts.rootDevice)
    faults.push(`its root is ${facts.rootDevice}; ${device} of ${file} is ${facts.device || "not there"}`);
  if (fsType !== "auto" && fsType !== facts.rootFsType)
    faults.push(`its root is ${facts.rootFsType}; ${file} says ${fsType}`);
  if (configured.firmware !== facts.firmware)
    faults.push(`it boots by ${facts.firmware}; the boot loader of ${file} is for ${configured.firmware}`);
  const live = facts.links.split(" ");
  for (const link of configured.links) {
    if (!live.includes(link))
      faults.push(`it has no network link ${link}, which ${file} configures (it has ${facts.links})`);
  }
  return faults;
}

function commonFaults(facts: MachineFacts, kind: Kind): string[] {
  const faults: string[] = [];
  const machine = kind.system.replace("-linux", "");
  if (facts.machine !== machine) faults.push(`its CPU is ${facts.machine}; the kind is for ${machine}`);
  if (!facts.kvm && kind.runners.some(({ isolation }) => isolation === "microvm"))
    faults.push(
      "it has no /dev/kvm, which its microvm runner needs; enable virtualisation or place the runner elsewhere",
    );
  return faults;
}
