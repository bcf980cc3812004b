/** Lets the next wave start: all runners of this one are online in their forges. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Scope } from "../fleet/model.ts";
import { readProperties } from "./inputs.ts";
import { type Context, changedKeys, type Properties, type ResourceType } from "./protocol.ts";
import type { Services } from "./services.ts";

const inputsSchema = z.object({
  wave: z.string(),
  /** Revision by host. */
  hosts: z.record(z.string(), z.string()),
  /** By name in the forge. */
  runners: z.record(
    z.string(),
    z.object({
      forge: z.string(),
      scope: z.custom<Scope>((value) => typeof value === "object"),
      /** Of its registration: a new one has to come online as well. */
      mark: z.string(),
    }),
  ),
  /** How long the runners may take, in seconds. */
  patienceSeconds: z.number(),
});
type GateInputs = z.output<typeof inputsSchema>;

export function gateType(services: () => Services): ResourceType {
  const pass = async (properties: Properties, context: Context): Promise<Properties> => {
    await waitForRunners(readProperties(inputsSchema, properties), services(), context);
    return { passed: true };
  };
  return {
    diff: (old, news) => ({
      update: changedKeys(old.inputs, news).filter((key) => key !== "patienceSeconds"),
    }),
    preview: () => ({ passed: true }),
    create: async (inputs, context) => ({ id: String(inputs.wave), outputs: await pass(inputs, context) }),
    update: async (_, news, context) => pass(news, context),
  };
}

async function waitForRunners(inputs: GateInputs, services: Services, context: Context): Promise<void> {
  const end = Date.now() + inputs.patienceSeconds * 1000;
  for (let delay = 500; ; delay = Math.min(delay * 2, 10_000)) {
    const offline = await offlineRunners(inputs, services);
    if (offline.length === 0) return;
    if (Date.now() + delay > end)
      throw new Error(
        `after ${inputs.patienceSeconds} s these runners are not online: ${offline.join(", ")}; see \`journalctl\` on their hosts, then run up again`,
      );
    context.progress(`waiting for ${offline.length} runners to come online`);
    await sleep(delay * (0.5 + Math.random()), undefined, { signal: context.signal });
  }
}

/** One list per forge and scope, however many runners. */
async function offlineRunners(inputs: GateInputs, services: Services): Promise<string[]> {
  const runners = Object.entries(inputs.runners).map(([name, { forge, scope }]) => ({ name, forge, scope }));
  const groups = Map.groupBy(runners, ({ forge, scope }) => JSON.stringify([forge, scope]));
  const offline = await Promise.all(
    [...groups.values()].map(async (group) => {
      const [first] = group;
      if (first === undefined) return [];
      const listed = await services.forge(first.forge).list(first.scope);
      const online = new Set(listed.filter((runner) => runner.online).map((runner) => runner.name));
      return group.filter(({ name }) => !online.has(name)).map(({ name, forge }) => `${name} (${forge})`);
    }),
  );
  return offline.flat();
}
