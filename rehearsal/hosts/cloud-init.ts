/** Stand-in for cloud-init: the parts of `#cloud-config` that decide who may log in and what key the machine shows. */
import { parse } from "yaml";
import { z } from "zod";

export interface FirstBoot {
  readonly hostKey?: { readonly private: string; readonly public: string };
  readonly authorizedKeys: readonly string[];
}

const cloudConfig = z.looseObject({
  ssh_keys: z.looseObject({ ed25519_private: z.string(), ed25519_public: z.string() }).optional(),
  ssh_authorized_keys: z.array(z.string()).optional(),
});

/** Reads user data as the real one does: what is no `#cloud-config` is left alone, and so is one that does not parse. */
export function readUserData(userData: string | undefined): FirstBoot {
  if (userData === undefined || !userData.startsWith("#cloud-config")) return { authorizedKeys: [] };
  const config = cloudConfig.safeParse(safeYaml(userData));
  if (!config.success) return { authorizedKeys: [] };
  const { ssh_keys: keys, ssh_authorized_keys: authorizedKeys = [] } = config.data;
  return keys === undefined
    ? { authorizedKeys }
    : { authorizedKeys, hostKey: { private: keys.ed25519_private, public: keys.ed25519_public } };
}

function safeYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
