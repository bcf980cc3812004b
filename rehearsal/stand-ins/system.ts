/** What a built system holds: what the program asks a host for, and scripts that do on a simulated host what NixOS does. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EvaluatedKind } from "./store.ts";

interface SystemFile {
  readonly text: string;
  readonly executable: boolean;
}

const VERSION = "26.05.stand-in";

const OS_RELEASE = `PRETTY_NAME="NixOS ${VERSION}"
NAME=NixOS
ID=nixos
VERSION_ID="26.05"`;

/** Run at boot and by a switch. */
const activate = (system: string) => `#!/bin/sh
# Stand-in for the activation script.
mkdir -p /etc /run
cat > /etc/os-release <<'END'
${OS_RELEASE}
END
: > /etc/NIXOS
[ "$1" = boot ] && ln -sfn ${system} /run/booted-system
ln -sfn ${system} /run/current-system
`;

const switchToConfiguration = (system: string) => `#!/bin/sh
# Stand-in for switch-to-configuration, with its order and its exit codes.
case $1 in
  switch|boot|test) ;;
  dry-activate) echo "would activate the configuration..." >&2; exit 0 ;;
  *) echo "Usage: $0 [check|switch|boot|test|dry-activate|dry-run]" >&2; exit 1 ;;
esac
[ -e /etc/NIXOS ] || { echo "This is not a NixOS installation!" >&2; exit 1; }
if [ "$1" != test ]; then
  if [ "$REHEARSAL_FAULT" = bootloader-fails ]; then
    echo "Failed to install bootloader" >&2
    exit 1
  fi
  mkdir -p /boot
  ln -sfn ${system} /boot/default-system
fi
[ "$1" = boot ] && exit 0
echo "activating the configuration..." >&2
${system}/activate switch || exit 2
echo "setting up /etc..." >&2
if [ "$REHEARSAL_FAULT" = switch-fails ]; then
  echo "warning: the following units failed: rehearsal.service" >&2
  exit 4
fi
exit 0
`;

const SCRIPTS = { "flotilla-approle": "approle.ts", "flotilla-drain": "drain.ts" } as const;

const source = (file: string) => readFileSync(new URL(file, import.meta.url), "utf8");

/** A hash of all that every system holds: with other scripts, systems have other paths. */
export function systemVersion(): string {
  const parts = [activate(""), switchToConfiguration(""), ...Object.values(SCRIPTS).map(source)];
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}

/** What a host file of its own (nix/hosts/<name>.nix) says of the hardware, as far as plain attributes tell. */
export interface ConfiguredHardware {
  readonly root: { readonly device: string; readonly fsType: string };
  readonly firmware: "efi" | "bios";
  readonly links: readonly string[];
}

export function readHostFile(nix: string): ConfiguredHardware {
  const root = /fileSystems\."\/"\s*=\s*\{([^}]*)\}/.exec(nix)?.[1] ?? "";
  const value = (name: string) => new RegExp(`\\b${name}\\s*=\\s*"([^"]*)"`).exec(root)?.[1];
  const links = nix.matchAll(/matchConfig\.Name\s*=\s*"([^"]+)"|networking\.interfaces\."?([\w.-]+?)"?\./g);
  return {
    root: { device: value("device") ?? "", fsType: value("fsType") ?? "auto" },
    firmware: /systemd-boot\.enable\s*=\s*true|efiSupport\s*=\s*true/.test(nix) ? "efi" : "bios",
    links: [...new Set([...links].map(([, name, interfaceName]) => name ?? interfaceName ?? ""))],
  };
}

/** The files of a system, by their path in it. */
export function systemFiles(
  out: string,
  kind: EvaluatedKind,
  hardware: ConfiguredHardware | undefined,
): Readonly<Record<string, SystemFile>> {
  const plain = (text: string): SystemFile => ({ text, executable: false });
  const program = (text: string): SystemFile => ({ text, executable: true });
  return {
    "flotilla-revision": plain(kind.revision),
    "kind.json": plain(`${JSON.stringify(kind, undefined, 2)}\n`),
    "nixos-version": plain(VERSION),
    system: plain(kind.system),
    ...(hardware === undefined ? {} : { "flotilla-hardware.json": plain(JSON.stringify(hardware)) }),
    activate: program(activate(out)),
    "bin/switch-to-configuration": program(switchToConfiguration(out)),
    "sw/bin/nixos-version": program(`#!/bin/sh\necho ${VERSION}\n`),
    ...Object.fromEntries(
      Object.entries(SCRIPTS).flatMap(([name, file]) => [
        // .mts: a lone file is an ES module only by its name.
        [`libexec/${name}.mts`, plain(source(file))],
        [`sw/bin/${name}`, program(`#!/bin/sh\nexec /rehearsal/node ${out}/libexec/${name}.mts "$@"\n`)],
      ]),
    ),
  };
}

export function diskoScript(kind: EvaluatedKind): string {
  const device = kind.disk?.device;
  const check =
    device === undefined || device === null
      ? ""
      : `[ -b '${device}' ] || { echo "disko (stand-in): there is no disk ${device}" >&2; exit 1; }\n`;
  return `#!/bin/sh
# Stand-in for disko: wipes the simulated disk and mounts it on /mnt.
set -e
grep -q VARIANT_ID=installer /etc/os-release || { echo "disko (stand-in): refuses to wipe a running system; boot the installer first" >&2; exit 1; }
${check}umount /mnt 2>/dev/null || :
find /rehearsal/disk -mindepth 1 -delete
mount --bind /rehearsal/disk /mnt
echo 1 > /run/disk-mounted
`;
}
