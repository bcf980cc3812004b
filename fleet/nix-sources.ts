/** The files under `nix/`: which profiles, disks and hosts there are, and which of them a kind is made of. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { Disk } from "./model.ts";
import { hashOf } from "./revision.ts";

export interface NixSources {
  /** Text by path below `nix/`, with forward slashes. */
  readonly files: ReadonlyMap<string, string>;
  readonly profiles: ReadonlySet<string>;
  readonly disks: ReadonlySet<string>;
  readonly hosts: ReadonlySet<string>;
}

export function readNixSources(directory: string): NixSources {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && (entry.name.endsWith(".nix") || entry.name === "flake.lock"),
  );
  const files = entries.map((entry): [string, string] => {
    const path = join(entry.parentPath, entry.name);
    return [path.slice(directory.length + 1).replaceAll("\\", "/"), readFileSync(path, "utf8")];
  });
  return nixSources(new Map(files));
}

export function nixSources(files: ReadonlyMap<string, string>): NixSources {
  const inside = (folder: string) =>
    new Set(
      [...files.keys()]
        .filter((path) => posix.dirname(path) === folder)
        .map((path) => posix.basename(path, ".nix")),
    );
  return { files, profiles: inside("profiles"), disks: inside("disks"), hosts: inside("hosts") };
}

/**
 * Hashes by path of exactly the files that a kind is made of: the flake, its lock, the base profile, the kind's own
 * profiles, disk layout and host file, and whatever those name by a relative path. A folder that is named means its
 * default.nix; a folder without one is a choice that the kind makes (`profiles`, `disks`, `hosts`).
 */
export function nixFilesOf(
  kind: { readonly tags: readonly string[]; readonly disk?: Disk; readonly host?: string },
  nix: NixSources,
): Readonly<Record<string, string>> {
  const waiting = [
    "flake.nix",
    "flake.lock",
    "profiles/base.nix",
    ...kind.tags.map((tag) => `profiles/${tag}.nix`),
    ...(kind.disk === undefined ? [] : [`disks/${kind.disk.layout}.nix`]),
    ...(kind.host === undefined ? [] : [`hosts/${kind.host}.nix`]),
  ];
  const hashes: Record<string, string> = {};
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const text = nix.files.get(path);
    if (text === undefined || path in hashes) continue;
    hashes[path] = hashOf(text, 64);
    for (const [literal] of withoutComments(text).matchAll(/(?<![\w./-])\.{1,2}\/[\w./+-]*/g)) {
      const target = posix.join(posix.dirname(path), literal);
      waiting.push(target.endsWith(".nix") ? target : posix.join(target, "default.nix"));
    }
  }
  return hashes;
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)#.*$/gm, "");
}
