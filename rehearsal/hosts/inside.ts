/** Reads a host's files from outside: absolute symlinks on the host mean the host's own tree. */
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The outside path of `path` on the host, with every symlink followed; undefined when it does not exist. */
export function inside(root: string, path: string): string | undefined {
  let rest = normalize(path).split("/").filter(Boolean);
  let at = "/";
  for (let links = 0; rest.length > 0; ) {
    const [name = "", ...others] = rest;
    const next = normalize(join(at, name));
    const stat = lstatSync(join(root, next), { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!stat.isSymbolicLink()) {
      at = next;
      rest = others;
      continue;
    }
    if (++links > 40) return undefined;
    const target = readlinkSync(join(root, next));
    const followed = target.startsWith("/") ? target : join(dirname(next), target);
    rest = [...normalize(followed).split("/").filter(Boolean), ...others];
    at = "/";
  }
  return join(root, at);
}

/** A file's text, or undefined when it is not there. */
export function readInside(root: string, path: string): string | undefined {
  const outside = inside(root, path);
  return outside === undefined ? undefined : readFileSync(outside, "utf8");
}
