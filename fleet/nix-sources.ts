/** The files under `nix/`: which profiles, disks and hosts there are, and which of them a kind is made of. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { Disk } from "./model.ts";
import { hashOf } from "./revision.ts";

export interface NixSources {
  /** Content by path below `nix/`, with forward slashes; a character for each byte. */
  readonly files: ReadonlyMap<string, string>;
  readonly profiles: ReadonlySet<string>;
  readonly disks: ReadonlySet<string>;
  readonly hosts: ReadonlySet<string>;
}

export function readNixSources(directory: string): NixSources {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const files = entries.map((entry): [string, string] => {
    const path = join(entry.parentPath, entry.name);
    return [path.slice(directory.length + 1).replaceAll("\\", "/"), readFileSync(path, "latin1")];
  });
  return nixSources(new Map(files));
}

export function nixSources(files: ReadonlyMap<string, string>): NixSources {
  const inside = (folder: string) =>
    new Set(
      [...files.keys()]
        .filter((path) => posix.dirname(path) === folder && path.endsWith(".nix"))
        .map((path) => posix.basename(path, ".nix")),
    );
  return { files, profiles: inside("profiles"), disks: inside("disks"), hosts: inside("hosts") };
}

/** Folders of which a kind takes what it is made of, and not the rest; `.` holds them. */
const choices = new Set([".", "profiles", "disks", "hosts", "kinds"]);

/**
 * Hashes by path of exactly the files that a kind is made of: the flake, its lock, the base profile, the kind's own
 * profiles, disk layout and host file, and whatever Nix files among those name by a relative path. A folder that is
 * named means its default.nix, or all that is in it when it has none.
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
    if (path.endsWith(".nix")) waiting.push(...namedIn(text, posix.dirname(path), nix));
  }
  return hashes;
}

/** Files that a Nix file names. One that only looks like a path, in a string, counts when there is such a file. */
function namedIn(text: string, folder: string, nix: NixSources): string[] {
  const literals = withoutComments(text).match(/(?<![\w./}~+-])[\w.+-]+(?:\/[\w.+-]*)+/g) ?? [];
  return literals.flatMap((literal) => {
    const target = posix.join(folder, literal).replace(/\/$/, "");
    if (nix.files.has(target)) return [target];
    const whole = posix.join(target, "default.nix");
    if (nix.files.has(whole) || choices.has(target) || !literal.startsWith(".")) return [whole];
    return [...nix.files.keys()].filter((path) => path.startsWith(`${target}/`));
  });
}

/** Strings stay as they are: in them, `#` and a slash with a star begin no comment. */
function withoutComments(text: string): string {
  const stringOrComment = /("(?:\\[\s\S]|[^"\\])*"|''(?:''[$'\\]|'(?!')|[^'])*'')|#.*|\/\*[\s\S]*?\*\//g;
  return text.replaceAll(stringOrComment, (_, string: string | undefined) => string ?? " ");
}
