/** The forges that runners can be registered with: a new one is one file and one line here. */
import type { Forge, ForgeKind } from "../../fleet/model.ts";
import type { ForgeClient } from "./forge.ts";
import { createForgejoClient } from "./forgejo.ts";
import { createGiteaClient } from "./gitea.ts";
import { createGithubClient } from "./github.ts";

/** An access token, or a GitHub App installed where the runners belong. */
export type ForgeCredential =
  | { readonly token: string }
  | {
      readonly appId: string | number;
      readonly installationId: string | number;
      /** PEM. */
      readonly privateKey: string;
    };

const adapters: Readonly<
  Record<
    ForgeKind,
    (forge: Forge, credential: ForgeCredential, signal: AbortSignal | undefined) => ForgeClient
  >
> = {
  github: createGithubClient,
  forgejo: createForgejoClient,
  gitea: createGiteaClient,
};

/**
 * @param signal ends all requests of this client.
 * @throws ForgeError when the credential is not of a kind that the forge takes.
 */
export function createForgeClient(
  forge: Forge,
  credential: ForgeCredential,
  signal?: AbortSignal,
): ForgeClient {
  return adapters[forge.kind](forge, credential, signal);
}
