/** What a simulated machine is made of: all that a preflight can read from it. */
import type { Provider } from "../../fleet/model.ts";

export interface Hardware {
  readonly memoryMib: number;
  readonly arch: "x86_64" | "aarch64";
  /** Whether /dev/kvm exists. */
  readonly kvm: boolean;
  /** Device paths; the first holds the root filesystem. */
  readonly disks: readonly string[];
  /** Whether the firmware is UEFI. */
  readonly efi: boolean;
  /** What findmnt says of `/`, and what its filesystem is called. */
  readonly root: {
    readonly source: string;
    readonly uuid: string;
    readonly fsType: string;
    readonly label: string;
  };
  /** Names of the network links. */
  readonly links: readonly string[];
}

/** NixOS's manual calls the root filesystem so. */
const label = "nixos";
const uuid = "5eedf1ee-0000-4000-8000-000000000001";

const HETZNER_GIB: Readonly<Record<string, number>> = {
  cx22: 4,
  cx23: 4,
  cx32: 8,
  cx33: 8,
  cx42: 16,
  cx43: 16,
  cx52: 32,
  cx53: 32,
  cpx11: 2,
  cpx21: 4,
  cpx31: 8,
  cpx41: 16,
  cpx51: 32,
  cax11: 4,
  cax21: 8,
  cax31: 16,
  cax41: 32,
  ccx13: 8,
  ccx23: 16,
  ccx33: 32,
  ccx43: 64,
  ccx53: 128,
  ccx63: 192,
};

/** The machine that a provider hands out for a server type. An unknown type has 8 GiB. */
export function hardwareOf(provider: Provider, serverType = ""): Hardware {
  switch (provider) {
    case "hetzner":
      // Hetzner Cloud passes no virtualisation on: its servers have no /dev/kvm.
      return {
        memoryMib: (HETZNER_GIB[serverType] ?? 8) * 1024,
        arch: serverType.startsWith("cax") ? "aarch64" : "x86_64",
        kvm: false,
        disks: ["/dev/sda"],
        root: { source: "/dev/sda1", uuid, fsType: "ext4", label },
        links: ["lo", "eth0"],
        efi: serverType.startsWith("cax"),
      };
    case "digitalocean":
      return {
        memoryMib: digitalOceanMib(serverType),
        arch: "x86_64",
        kvm: true,
        disks: ["/dev/vda"],
        root: { source: "/dev/vda1", uuid, fsType: "ext4", label },
        links: ["lo", "eth0", "eth1"],
        efi: false,
      };
    case "existing":
      return {
        memoryMib: 64 * 1024,
        arch: "x86_64",
        kvm: true,
        disks: ["/dev/nvme0n1", "/dev/nvme1n1"],
        root: { source: "/dev/nvme0n1p2", uuid, fsType: "ext4", label },
        links: ["lo", "enp1s0"],
        efi: true,
      };
  }
}

function digitalOceanMib(size: string): number {
  const found = /-(\d+)(gb|mb)/.exec(size);
  if (found === null) return 8 * 1024;
  return Number(found[1]) * (found[2] === "gb" ? 1024 : 1);
}
