import { describe, expect, test } from "vitest";
import type { Kind } from "../../../fleet/model.ts";
import type { MachineFacts } from "../../../provider/machine-facts.ts";
import { adoptFaults, type ConfiguredHardware, installFaults } from "../../../provider/preflight.ts";
import { kind } from "../stand-ins/flake.ts";

const facts: MachineFacts = {
  machine: "x86_64",
  memoryMib: 3900,
  kvm: false,
  device: "/dev/sda",
  installId: "",
  kindRevision: "",
  identityHash: "",
  approle: false,
  rootDevice: "/dev/sda",
  rootFsType: "ext4",
  firmware: "efi",
  os: "nixos",
  links: "lo enp1s0",
};
const plain = kind("runners");
const microvm = kind("microvm", {
  runners: plain.runners.map((runner) => ({ ...runner, isolation: "microvm" as const })),
});

interface Case {
  readonly what: string;
  readonly machine?: Partial<MachineFacts>;
  readonly kind?: Kind;
  readonly faults: readonly string[];
}

describe("an install", () => {
  test.each<Case>([
    { what: "a machine that fits", faults: [] },
    {
      what: "too little memory for kexec",
      machine: { memoryMib: 961 },
      faults: ["it has 961 MiB of memory; nixos-anywhere's kexec needs 1.5 GiB: choose a larger type"],
    },
    { what: "2 GB as a cloud sells them", machine: { memoryMib: 1900 }, faults: [] },
    {
      what: "a disk that is not there",
      machine: { device: "" },
      faults: ["it has no disk /dev/sda; see `ls /dev/disk/by-id` on it and mend `disk`"],
    },
    {
      what: "no disk named, so the layout's own",
      machine: { device: "" },
      kind: kind("layout", { disk: { layout: "single" } }),
      faults: [],
    },
    {
      what: "another CPU",
      machine: { machine: "aarch64" },
      faults: ["its CPU is aarch64; the kind is for x86_64"],
    },
    {
      what: "the CPU of an ARM kind",
      machine: { machine: "aarch64" },
      kind: kind("arm", { system: "aarch64-linux" }),
      faults: [],
    },
    {
      what: "a microvm runner without virtualisation",
      kind: microvm,
      faults: [
        "it has no /dev/kvm, which its microvm runner needs; enable virtualisation or place the runner elsewhere",
      ],
    },
    { what: "a microvm runner with it", machine: { kvm: true }, kind: microvm, faults: [] },
    {
      what: "a machine that said nothing of itself",
      machine: { machine: "", memoryMib: 0, device: "" },
      faults: [
        "its CPU is ; the kind is for x86_64",
        "it has 0 MiB of memory; nixos-anywhere's kexec needs 1.5 GiB: choose a larger type",
        "it has no disk /dev/sda; see `ls /dev/disk/by-id` on it and mend `disk`",
      ],
    },
  ])("on $what", ({ machine, kind: of = plain, faults }) => {
    expect(installFaults({ ...facts, ...machine }, of)).toEqual(faults);
  });
});

describe("adopting", () => {
  const { disk: _, ...adopted } = kind("cache", { host: "nix-cache02" });
  const configured: ConfiguredHardware = {
    root: { device: "/dev/disk/by-label/nixos", fsType: "ext4" },
    firmware: "efi",
    links: ["enp1s0"],
  };

  test.each<Case & { readonly configured?: Partial<ConfiguredHardware> }>([
    { what: "a machine that is as configured", faults: [] },
    { what: "little memory, since nothing is installed", machine: { memoryMib: 512 }, faults: [] },
    {
      what: "another system",
      machine: { os: "debian" },
      faults: ["it runs debian, not NixOS; install NixOS on it, or consent to a wipe with installId"],
    },
    {
      what: "an unknown system",
      machine: { os: "" },
      faults: [
        "it runs an unknown system, not NixOS; install NixOS on it, or consent to a wipe with installId",
      ],
    },
    {
      what: "another root device",
      machine: { rootDevice: "/dev/sdb" },
      faults: ["its root is /dev/sdb; /dev/disk/by-label/nixos of nix/hosts/nix-cache02.nix is /dev/sda"],
    },
    {
      what: "a root device that is not there",
      machine: { device: "" },
      faults: ["its root is /dev/sda; /dev/disk/by-label/nixos of nix/hosts/nix-cache02.nix is not there"],
    },
    {
      what: "a root that is unknown on both sides",
      machine: { device: "", rootDevice: "" },
      faults: ["its root is ; /dev/disk/by-label/nixos of nix/hosts/nix-cache02.nix is not there"],
    },
    {
      what: "another filesystem",
      machine: { rootFsType: "btrfs" },
      faults: ["its root is btrfs; nix/hosts/nix-cache02.nix says ext4"],
    },
    {
      what: "a filesystem left to the kernel",
      machine: { rootFsType: "btrfs" },
      configured: { root: { device: "/dev/disk/by-label/nixos", fsType: "auto" } },
      faults: [],
    },
    {
      what: "another boot loader",
      machine: { firmware: "bios" },
      faults: ["it boots by bios; the boot loader of nix/hosts/nix-cache02.nix is for efi"],
    },
    {
      what: "a link that is not there, also where another's name begins like it",
      machine: { links: "lo enp1s0f0" },
      faults: [
        "it has no network link enp1s0, which nix/hosts/nix-cache02.nix configures (it has lo enp1s0f0)",
      ],
    },
    {
      what: "everything at once, so that one visit mends it",
      machine: {
        machine: "aarch64",
        os: "debian",
        rootDevice: "/dev/sdb",
        rootFsType: "xfs",
        firmware: "bios",
      },
      configured: { links: ["eth0"] },
      faults: Array.from({ length: 6 }, () => expect.any(String)),
    },
  ])("$what", ({ machine, configured: change, faults }) => {
    expect(adoptFaults({ ...facts, ...machine }, adopted, { ...configured, ...change })).toEqual(faults);
  });
});
