/** Stand-in for `nix copy`: the same ssh session as the real one opens, with a tar in place of Nix's wire format. */
import { spawn } from "node:child_process";
import { basename } from "node:path";
import { NixError, type Store } from "./store.ts";

export interface Target {
  /** `ssh` or `ssh-ng`: which program answers on the host. */
  readonly scheme: string;
  readonly host: string;
  /** A store elsewhere on the host, e.g. `local?root=/mnt`. */
  readonly remoteStore?: string;
}

export function parseStoreUri(uri: string): Target {
  const found = /^(ssh|ssh-ng):\/\/([^?/]+)(?:\?(.*))?$/.exec(uri);
  if (found === null)
    throw new NixError(`don't know how to open Nix store with scheme '${uri.split(":")[0]}'`);
  const [, scheme = "", host = "", query = ""] = found;
  const remoteStore = new URLSearchParams(query).get("remote-store");
  return { scheme, host, ...(remoteStore === null ? {} : { remoteStore }) };
}

/** Copies store paths to a host; `line` gets what the two programs say. */
export async function copyTo(
  store: Store,
  target: Target,
  paths: readonly string[],
  sshOptions: readonly string[],
  line: (text: string) => void,
): Promise<void> {
  const missing = paths.find((path) => !store.has(path));
  if (missing !== undefined) throw new NixError(`path '${missing}' is not valid`);
  const remote =
    target.scheme === "ssh-ng"
      ? ["nix-daemon", "--stdio"]
      : [
          "nix-store",
          "--serve",
          "--write",
          ...(target.remoteStore === undefined ? [] : ["--store", `'${target.remoteStore}'`]),
        ];
  for (const path of paths) line(`copying path '${path}' to '${target.scheme}://${target.host}'...`);
  const tar = spawn("tar", ["-C", store.directory, "-cf", "-", ...paths.map((path) => basename(path))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ssh = spawn("ssh", [...sshOptions, "-x", target.host, remote.join(" ")], {
    stdio: [tar.stdout, "ignore", "pipe"],
  });
  let said = "";
  ssh.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  const code = await new Promise<number | null>((resolve) => {
    ssh.once("error", () => resolve(127));
    ssh.once("close", resolve);
  });
  for (const text of said.split("\n").filter(Boolean)) line(text);
  if (code !== 0) throw new NixError(`failed to start SSH connection to '${target.host}'`);
}
