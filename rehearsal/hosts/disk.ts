/** What a simulated host's disk holds before anybody installs anything, and in the installer's memory. */
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { deriveHostKey } from "../../fleet/host-keys.ts";

export interface HostKey {
  /** OpenSSH private key. */
  readonly private: string;
  /** `ssh-ed25519 AAAA…` */
  readonly public: string;
}

const UBUNTU = `PRETTY_NAME="Ubuntu 24.04 LTS (stand-in)"
NAME="Ubuntu"
VERSION_ID="24.04"
ID=ubuntu
ID_LIKE=debian
`;

const INSTALLER = `PRETTY_NAME="NixOS installer (stand-in)"
NAME=NixOS
ID=nixos
VARIANT_ID=installer
`;

const NIXOS = `PRETTY_NAME="NixOS 26.05 (stand-in)"
NAME=NixOS
ID=nixos
VERSION_ID="26.05"
`;

/** A cloud image as it comes. */
export function writeUbuntu(root: string, name: string): void {
  seed(root, name);
  write(root, "etc/os-release", UBUNTU);
}

/** The installer's root in memory: keys and addresses of the system that it replaces are carried over. */
export function writeInstaller(root: string, from: string, name: string): void {
  seed(root, name);
  write(root, "etc/os-release", INSTALLER);
  for (const directory of ["etc/ssh", "root/.ssh"]) {
    const source = join(from, directory);
    if (!existsSync(source)) continue;
    mkdirSync(join(root, directory), { recursive: true, mode: 0o700 });
    for (const file of readdirSync(source)) copyFileSync(join(source, file), join(root, directory, file));
  }
}

/** A NixOS that somebody set up by hand before there was a fleet. */
export function writeForeignNixos(root: string, name: string): void {
  const system = `/nix/store/00000000000000000000000000000000-nixos-system-${name}-26.05`;
  seed(root, name);
  write(root, "etc/os-release", NIXOS);
  write(root, "etc/NIXOS", "");
  write(root, `${system}/nixos-version`, "26.05 (stand-in)\n");
  write(root, `${system}/activate`, `#!/bin/sh\nln -sfn ${system} /run/current-system\n`, 0o755);
  mkdirSync(join(root, "nix/var/nix/profiles"), { recursive: true });
  symlinkSync("system-1-link", join(root, "nix/var/nix/profiles/system"));
  symlinkSync(system, join(root, "nix/var/nix/profiles/system-1-link"));
  mkdirSync(join(root, "boot"), { recursive: true });
  symlinkSync(system, join(root, "boot/default-system"));
}

/** Files without which the tools of a booted host would not work. What is there stays. */
export function seed(root: string, name: string): void {
  for (const directory of [
    "etc/ssh",
    "run",
    "var/lib",
    "var/log",
    "root",
    "tmp",
    "nix/store",
    "home",
    "mnt",
    "boot",
  ])
    mkdirSync(join(root, directory), { recursive: true });
  writeMissing(
    root,
    "etc/passwd",
    "root:x:0:0:System administrator:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  );
  writeMissing(root, "etc/group", "root:x:0:\nnogroup:x:65534:\n");
  writeMissing(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
  writeMissing(root, "etc/hosts", `127.0.0.1 localhost ${name}\n`);
  writeMissing(root, "etc/hostname", `${name}\n`);
  for (const file of ["ld.so.cache", "ld.so.conf"])
    if (existsSync(join("/etc", file)) && !existsSync(join(root, "etc", file)))
      copyFileSync(join("/etc", file), join(root, "etc", file));
}

/** The key that sshd shows. As at any first boot, one is made when there is none. */
export function ensureHostKey(root: string, given?: HostKey): void {
  const path = join(root, "etc/ssh/ssh_host_ed25519_key");
  if (given === undefined && existsSync(path)) return;
  const key = given ?? makeHostKey();
  write(root, "etc/ssh/ssh_host_ed25519_key", `${key.private.trimEnd()}\n`, 0o600);
  write(root, "etc/ssh/ssh_host_ed25519_key.pub", `${key.public.trimEnd()}\n`, 0o644);
}

function makeHostKey(): HostKey {
  const { privateKey, publicKey } = deriveHostKey(
    randomBytes(32).toString("hex"),
    "any",
    "first boot",
    "host",
  );
  return { private: privateKey, public: publicKey };
}

export function authorize(root: string, keys: readonly string[]): void {
  if (keys.length > 0)
    write(root, "root/.ssh/authorized_keys", `${keys.map((key) => key.trim()).join("\n")}\n`, 0o600);
}

/** Removes what lives in memory only. */
export function emptyMemory(root: string): void {
  rmSync(join(root, "run"), { recursive: true, force: true });
  mkdirSync(join(root, "run"), { recursive: true });
}

function write(root: string, path: string, text: string, mode = 0o644): void {
  const file = join(root, path);
  mkdirSync(join(file, ".."), { recursive: true, mode: path.startsWith("root/.ssh") ? 0o700 : 0o755 });
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode });
}

function writeMissing(root: string, path: string, text: string): void {
  if (!existsSync(join(root, path))) write(root, path, text);
}
