/**
 * A runner's right to join a forge: its credential goes from the forge straight into Vault. Pulumi's state holds
 * names and a random mark, never a credential.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Scope } from "../fleet/model.ts";
import { readProperties } from "./inputs.ts";
import { changedKeys, type ResourceType } from "./protocol.ts";
import type { Services } from "./services.ts";

const inputsSchema = z.object({
  host: z.string(),
  /** A new machine registers anew. */
  instanceId: z.string(),
  /** Name in the forge and in Vault. */
  runner: z.string(),
  forge: z.string(),
  scope: z.custom<Scope>((value) => typeof value === "object"),
  labels: z.array(z.string()),
  ephemeral: z.boolean(),
});

const outputsSchema = z.object({
  /** Changes when the credential is a new one, so that its host takes it. */
  mark: z.string(),
  /** The forge's record, where it is made at once. */
  recordId: z.string().optional(),
});

const identifying = ["host", "instanceId", "runner", "forge", "scope", "ephemeral"] as const;

export function registrationType(services: () => Services): ResourceType {
  return {
    diff: (old, news) => {
      const changed = changedKeys(old.inputs, news);
      const replace = changed.filter((key) => identifying.some((each) => each === key));
      return {
        replace,
        update: changed.filter((key) => key === "labels"),
        deleteBeforeReplace: true,
      };
    },
    preview: (_, old) => (old === undefined ? {} : old.outputs),
    create: async (properties, context) => {
      const { host, runner, forge, scope, labels, ephemeral } = readProperties(inputsSchema, properties);
      const { settings, vault } = services();
      const client = services().forge(forge);
      context.progress(`registering at ${forge}`);
      const { id, credential } = await client.createCredential({ name: runner, scope, labels, ephemeral });
      const mark = randomUUID();
      await vault.writeRunner(host, runner, credential, { url: settings.forges[forge]?.url ?? "", mark });
      return { id: `${forge}/${runner}`, outputs: { mark, ...(id === undefined ? {} : { recordId: id }) } };
    },
    /** Where the forge does not keep them, the runner declares them itself when its host converges. */
    update: async (old, news) => {
      const { forge, scope, runner, labels } = readProperties(inputsSchema, news);
      const client = services().forge(forge);
      const found = client.setLabels === undefined ? undefined : await client.find(scope, runner);
      if (found !== undefined) await client.setLabels?.(scope, found.id, labels);
      return old.outputs;
    },
    read: async (old) => {
      const { runner, forge, scope, ephemeral } = readProperties(inputsSchema, old.inputs);
      if (ephemeral) return old;
      const found = await services().forge(forge).find(scope, runner);
      return found === undefined ? undefined : old;
    },
    delete: async (old) => {
      const { host, runner, forge, scope } = readProperties(inputsSchema, old.inputs);
      const { recordId } = readProperties(outputsSchema, old.outputs);
      const client = services().forge(forge);
      const found = await client.find(scope, runner);
      if (found?.busy)
        throw new Error(
          `${runner} runs a job at ${forge}, so it stays registered; run up again when the job has ended`,
        );
      const id = recordId ?? found?.id;
      if (id !== undefined) await client.remove(scope, id);
      await services().vault.removeRunner(host, runner);
    },
  };
}
