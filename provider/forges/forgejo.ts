/** Forgejo: from 15 on a runner's record is made here; before, a runner joins with a registration token as on Gitea. */
import pRetry from "p-retry";
import { z } from "zod";
import type { Forge } from "../../fleet/model.ts";
import { HttpError } from "../http.ts";
import { scopeText } from "./failure.ts";
import { type ForgeClient, ForgeError, type RunnerSpec } from "./forge.ts";
import { giteaApi, once } from "./gitea.ts";
import type { ForgeCredential } from "./index.ts";

/** The first version whose API makes runners. */
const MAKES_RUNNERS = 15;

const versionSchema = z.object({ version: z.string() });
const createdSchema = z.object({ id: z.number(), uuid: z.string().min(1), token: z.string().min(1) });

export function createForgejoClient(
  forge: Forge,
  credential: ForgeCredential,
  signal: AbortSignal | undefined,
): ForgeClient {
  const api = giteaApi(forge, credential, signal);

  /** E.g. 15 of `15.0.0+gitea-1.22.0`. */
  const majorVersion = once(async () => {
    const { body } = await api.call({ method: "GET", path: "/version", schema: versionSchema });
    const major = Number.parseInt(body.version, 10);
    if (Number.isNaN(major)) {
      throw new ForgeError(
        `forge "${forge.name}": ${forge.url} reports no version of Forgejo; check its url and kind`,
      );
    }
    return major;
  });

  /**
   * A run that stopped between the record's creation and the write to Vault has left a record whose token nobody has.
   * Forgejo would make a second one of the same name.
   */
  const removeLeftovers = async ({ name, scope }: RunnerSpec): Promise<void> => {
    const leftovers = (await api.list(scope)).filter((runner) => runner.name === name);
    if (leftovers.some((runner) => runner.online)) {
      throw new ForgeError(
        `forge "${forge.name}": a runner named ${name} is online in ${scopeText(scope)} and not of this fleet's state; ` +
          "stop it or remove it in the forge, or give the host another name",
      );
    }
    for (const runner of leftovers) await api.remove(scope, runner.id);
  };

  /** A lost answer leaves such a record too; so each try starts with removing it, and the POST is never just repeated. */
  const createRunner = async (spec: RunnerSpec): ReturnType<ForgeClient["createCredential"]> => {
    const path = await api.runnersPath(spec.scope);
    const { id, uuid, token } = await pRetry(
      async () => {
        await removeLeftovers(spec);
        const { name, ephemeral, scope } = spec;
        const { body } = await api.call({
          method: "POST",
          path,
          body: { name, ephemeral },
          schema: createdSchema,
          scope,
        });
        return body;
      },
      {
        retries: 2,
        minTimeout: 500,
        randomize: true,
        shouldRetry: ({ error }) => error.cause instanceof HttpError && error.cause.transient,
        ...(signal === undefined ? {} : { signal }),
      },
    );
    return { id: String(id), credential: { kind: "uuid-token", uuid, token } };
  };

  return {
    list: api.list,
    find: api.find,
    remove: api.remove,
    createCredential: async (spec) => {
      if ((await majorVersion()) >= MAKES_RUNNERS) return createRunner(spec);
      const path = spec.scope.kind === "instance" ? "/admin/runners" : await api.runnersPath(spec.scope);
      return api.registrationToken(spec.scope, "GET", `${path}/registration-token`);
    },
  };
}
