/**
 * Commands that a simulated host has in place of the machine's own: they tell of its hardware, restart it, or receive
 * store paths. Bound at /rehearsal; each host finds its hardware in /rehearsal/hardware.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Which commands a system has, by the directory that comes first on its PATH. */
export type CommandSet = "any" | "installer" | "nixos";

const uname = `case "$*" in
  -m|--machine) cat /rehearsal/hardware/arch ;;
  *) exec /usr/bin/uname "$@" ;;
esac`;

const lsblk = `# NAME and PATH of each disk; the options that choose columns are understood as far as they name one column.
case "$*" in
  *PATH*) cat /rehearsal/hardware/disks ;;
  *NAME*|*-J*) sed 's,^/dev/,,' /rehearsal/hardware/disks ;;
  *) echo "NAME TYPE"; sed 's,^/dev/\\(.*\\),\\1 disk,' /rehearsal/hardware/disks ;;
esac`;

const findmnt = `read -r source uuid fstype < /rehearsal/hardware/root
case "$*" in
  *SOURCE*FSTYPE*) echo "$source $fstype" ;;
  *FSTYPE*) echo "$fstype" ;;
  *SOURCE*) echo "$source" ;;
  *UUID*) echo "$uuid" ;;
  *) printf 'TARGET SOURCE FSTYPE OPTIONS\\n/ %s %s rw,relatime\\n' "$source" "$fstype" ;;
esac`;

const systemctl = `units=/run/flotilla-units
[ "$1" = --quiet ] && shift
verb=$1; [ $# -gt 0 ] && shift
case $verb in
  is-system-running)
    if grep -ls ^failed $units/* >/dev/null 2>&1; then echo degraded; exit 1; fi
    echo running ;;
  is-active)
    for unit; do :; done
    state=inactive; case $(cat $units/"\${unit%.service}" 2>/dev/null) in active) state=active ;; failed*) state=failed ;; "") [ -e $units/"\${unit%.service}" ] || state=active ;; esac
    echo $state; [ $state = active ] ;;
  reboot) exec /rehearsal/any/reboot ;;
  *) exit 0 ;;
esac`;

const kexec = `# In place of the image's kexec/run. The installer needs about a gigabyte of memory; with less, the machine is lost.
echo "machine will boot into nixos in 6s..."
setsid sh -c 'sleep 0.3; kill -USR2 1' >/dev/null 2>&1 </dev/null &`;

/** Receives store paths as a tar in place of Nix's own wire format. */
const receive = `root=
while [ $# -gt 0 ]; do
  case $1 in
    --store) root=\${2#local?root=}; shift ;;
    --serve|--write|--stdio|--no-gc-warning) ;;
    *) echo "error: this stand-in for nix-store knows no '$1'" >&2; exit 1 ;;
  esac
  shift
done
mkdir -p "$root/nix/store"
exec tar -C "$root/nix/store" -xf - --no-same-owner --skip-old-files`;

const nixEnv = `profile= path=
while [ $# -gt 0 ]; do
  case $1 in
    --profile|-p) profile=$2; shift ;;
    --set) path=$2; shift ;;
    *) echo "error: this stand-in for nix-env knows no '$1'" >&2; exit 1 ;;
  esac
  shift
done
[ -e "$path" ] || { echo "error: path '$path' does not exist and cannot be created" >&2; exit 1; }
mkdir -p "$(dirname "$profile")"
last=$(ls -d "$profile"-*-link 2>/dev/null | sed 's,.*-\\([0-9]*\\)-link$,\\1,' | sort -n | tail -n1)
if [ -z "$last" ] || [ "$(readlink "$profile-$last-link")" != "$path" ]; then
  last=$((\${last:-0} + 1))
  ln -s "$path" "$profile-$last-link"
fi
ln -sfn "$(basename "$profile")-$last-link" "$profile"`;

const nixosInstall = `system=
while [ $# -gt 0 ]; do
  case $1 in
    --system) system=$2; shift ;;
    --no-root-passwd|--no-channel-copy|--no-bootloader) ;;
    *) echo "nixos-install (stand-in): unknown option $1" >&2; exit 1 ;;
  esac
  shift
done
[ -e /run/disk-mounted ] || { echo "nixos-install (stand-in): nothing is mounted on /mnt; run disko first" >&2; exit 1; }
[ -e "/mnt$system/bin/switch-to-configuration" ] || { echo "error: path '$system' is not valid" >&2; exit 1; }
echo "installing the boot loader..." >&2
mkdir -p /mnt/nix/var/nix/profiles /mnt/boot /mnt/etc
ln -sfn "$system" /mnt/nix/var/nix/profiles/system-1-link
ln -sfn system-1-link /mnt/nix/var/nix/profiles/system
ln -sfn "$system" /mnt/boot/default-system
: > /mnt/etc/NIXOS
echo "installation finished!" >&2`;

const COMMANDS: Readonly<Record<CommandSet, Readonly<Record<string, string>>>> = {
  any: {
    uname,
    lsblk,
    findmnt,
    systemctl,
    reboot: "kill -USR1 1",
    "systemd-detect-virt": "echo none; exit 1",
    cpio: "exit 0",
    "rehearsal-kexec": kexec,
  },
  nixos: { "nix-store": receive, "nix-daemon": receive, "nix-env": nixEnv },
  installer: { "nixos-install": nixosInstall },
};

/** Writes the commands below a directory, one directory per set. */
export function writeCommands(directory: string): void {
  for (const [set, commands] of Object.entries(COMMANDS)) {
    mkdirSync(join(directory, set), { recursive: true });
    for (const [name, body] of Object.entries(commands)) {
      const path = join(directory, set, name);
      writeFileSync(path, `#!/bin/sh\n# ${name} of a simulated host.\n${body}\n`);
      chmodSync(path, 0o755);
    }
  }
}
