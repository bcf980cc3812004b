/** Executables on PATH and what version they are. */
import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const versionTimeoutMs = 10_000;

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

export function findOnPath(name: string, path: string = process.env.PATH ?? ""): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The first `1.2.3` in what the executable prints for its version; undefined when it prints none. */
export async function readVersion(executable: string, args: readonly string[]): Promise<Version | undefined> {
  try {
    const { stdout } = await promisify(execFile)(executable, [...args], { timeout: versionTimeoutMs });
    return parseVersion(stdout);
  } catch {
    return undefined;
  }
}

export function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch] = /(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

export function renderVersion(version: Version): string {
  return `${version.major}.${version.minor}.${version.patch}`;
}

/** Same major, and the minor at least that of `pinned`. */
export function isAtLeastMinor(version: Version, pinned: Version): boolean {
  return version.major === pinned.major && version.minor >= pinned.minor;
}
