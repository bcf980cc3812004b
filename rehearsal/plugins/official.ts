/** The official plugins that are on this machine already: those that Pulumi has installed, and those on PATH. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** @returns the directory of the plugin that belongs to the SDK in `node_modules`, or undefined. */
export function findOfficialPlugin(repo: string, name: string): string | undefined {
  const manifest = readFileSync(join(repo, "node_modules", "@pulumi", name, "package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  const home = process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
  const directories = [
    join(home, "plugins", `resource-${name}-v${version}`),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  return directories.find((directory) => existsSync(join(directory, `pulumi-resource-${name}`)));
}
