/**
 * A provider for tests of the protocol alone: boxes that lie in memory. Run as a program it serves an engine that starts
 * it, as `provider/main.ts` does, and writes each call to the file that BOX_CALLS names.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  changedKeys,
  PartialFailure,
  type Properties,
  type ProviderDefinition,
  type ResourceType,
  secret,
  serveProvider,
  type Value,
} from "../../provider/protocol.ts";

export const boxToken = "s3cret-of-a-box";

export class Boxes {
  /** What each call of the engine was, e.g. `update a`. */
  calls: string[] = [];
  /** Each configuration that arrived, the last one last. */
  readonly configurations: Properties[] = [];
  /** Content by name: the world that the resources are about. */
  readonly contents = new Map<string, Value>();
  /** Taken once, by call: how it fails. */
  readonly faults = new Map<string, "plain" | "partial">();
  /** The most updates that ran at once. */
  together = 0;
  #running = 0;
  #serial = 0;
  readonly #record: (call: string) => void;

  constructor(record: (call: string) => void = () => undefined) {
    this.#record = record;
  }

  get definition(): ProviderDefinition {
    return {
      name: "box",
      version: "0.0.1",
      resources: { "box:index:Box": this.#type },
      configure: (config) => void this.configurations.push(config),
    };
  }

  /** The machine is what a box stands on, so a new one replaces it; all else is updated in place. */
  readonly #type: ResourceType = {
    check: (news) => ({
      inputs: { lid: "closed", ...news },
      failures: news.content === "acid" ? [{ property: "content", reason: "a box holds no acid" }] : [],
    }),
    diff: (old, news) => {
      const changed = changedKeys(old.inputs, news);
      return {
        replace: changed.filter((key) => key === "machine"),
        update: changed.filter((key) => key !== "machine"),
        deleteBeforeReplace: true,
      };
    },
    /** The address of a box stays when its content changes; its serial is a new one each time. */
    preview: (news, old) =>
      old === undefined
        ? { content: news.content ?? null }
        : { ...news, address: old.outputs.address ?? null },
    create: async (inputs, context) => {
      this.#took(`create ${context.name}`);
      if (inputs.content === "wait") {
        await sleep(60_000, undefined, { signal: context.signal }).catch(() => {
          this.#took(`cancelled ${context.name}`);
          throw new Error("cancelled");
        });
      }
      const id = `id-${context.name}`;
      return { id, outputs: this.#put(`create ${context.name}`, id, inputs) };
    },
    update: async (old, news, context) => {
      this.#took(`update ${context.name}`);
      this.#running += 1;
      this.together = Math.max(this.together, this.#running);
      // As a rollout does: what comes within this time is gathered.
      if (news.content === "gathered") await sleep(1500);
      this.#running -= 1;
      return this.#put(`update ${context.name}`, old.id, news);
    },
    read: async (old, context) => {
      this.#took(`read ${context.name}`);
      const content = this.contents.get(old.id);
      if (content === undefined) return undefined;
      return { ...old, inputs: { ...old.inputs, content }, outputs: { ...old.outputs, content } };
    },
    delete: async (old, context) => {
      this.#took(`delete ${context.name}`);
      this.contents.delete(old.id);
    },
  };

  #put(call: string, id: string, inputs: Properties): Properties {
    const fault = this.faults.get(call);
    this.faults.delete(call);
    if (fault === "plain") throw new Error(`${call} failed`);
    this.contents.set(id, inputs.content ?? null);
    this.#serial += 1;
    const outputs = {
      content: inputs.content ?? null,
      address: `address of ${id}`,
      serial: `serial ${this.#serial}`,
      token: secret(boxToken),
    };
    if (fault === "partial") throw new PartialFailure(`${call} is not finished`, id, outputs);
    return outputs;
  }

  #took(call: string): void {
    this.calls.push(call);
    this.#record(call);
  }
}

if (import.meta.main) {
  const file = process.env.BOX_CALLS ?? "";
  const boxes = new Boxes((call) => appendFileSync(file, `${call}\n`));
  appendFileSync(file, `started ${process.pid}\n`);
  const server = await serveProvider(boxes.definition, process.argv[2]);
  process.on("SIGINT", () => undefined);
  console.log(server.port);
}
