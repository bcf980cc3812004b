/** The edge: the one place that reads Pulumi's configuration. */
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError, type Fault } from "./faults.ts";
import { readNixSources } from "./nix-sources.ts";
import { type ParsedFleet, parseFleet } from "./parse.ts";

const nixDirectory = join(import.meta.dirname, "..", "nix");
const namespace = "flotilla:";

/** @throws ConfigError with every fault of the configuration, before any resource exists. */
export function readFleet(): ParsedFleet {
  return parseFleet(
    {
      project: pulumi.getProject(),
      stack: pulumi.getStack(),
      values: readValues(pulumi.runtime.allConfig()),
      cloudTokens: new Set([
        ...(hasToken("hcloud", "HCLOUD_TOKEN") ? ["hetzner"] : []),
        ...(hasToken("digitalocean", "DIGITALOCEAN_TOKEN") ? ["digitalocean"] : []),
      ]),
    },
    readNixSources(nixDirectory),
  );
}

function readValues(config: Readonly<Record<string, string>>): Record<string, unknown> {
  const faults: Fault[] = [];
  const values = Object.entries(config)
    .filter(([key]) => key.startsWith(namespace))
    .map(([key, text]): [string, unknown] => {
      const name = key.slice(namespace.length);
      try {
        return [name, JSON.parse(text)];
      } catch {
        faults.push({ path: name, message: "is not a map or list; see the example in Pulumi.prod.yaml" });
        return [name, undefined];
      }
    });
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.fromEntries(values);
}

/** The clouds' tokens stay where their own providers look for them. */
function hasToken(provider: string, variable: string): boolean {
  return new pulumi.Config(provider).get("token") !== undefined || process.env[variable] !== undefined;
}
