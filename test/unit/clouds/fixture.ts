/** A cloud on a world of its own: every answer is held against the published description. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Serving } from "../../../rehearsal/clouds/http.ts";
import type { Machine, Machines } from "../../../rehearsal/clouds/machine.ts";
import { type Faults, openWorld, type World } from "../../../rehearsal/world.ts";
import { openDescription } from "./openapi.ts";

export const publicKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtoQdIIZXdGVf2tkH0wE8zKCBHQmeVZGlpxJ9tJLYTK operator@example.org";
export const otherKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNdYJ0RwZqGdkcPLw0/0g8lQ0hQ0m0LbnxkC5wJ8kq1 other@example.org";

/** Remembers what the cloud asked for; `refuse` and `stall` name machines whose boot fails or never ends. */
export class Rack implements Machines {
  readonly booted: Machine[] = [];
  readonly removed: string[] = [];
  readonly powered: string[] = [];
  refuse: string | undefined;
  stall: string | undefined;

  async boot(machine: Machine): Promise<void> {
    if (machine.name === this.refuse) throw new Error("no such image on the disk");
    if (machine.name === this.stall) await new Promise(() => undefined);
    this.booted.push(machine);
  }
  async remove(id: string): Promise<void> {
    this.removed.push(id);
  }
  async power(id: string, on: boolean): Promise<void> {
    this.powered.push(`${id} ${on ? "on" : "off"}`);
  }
}

interface Reply<T> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

export interface Cloud {
  readonly world: World;
  readonly rack: Rack;
  readonly url: string;
  /** Asks; fails when the answer departs from the description. */
  ask<T>(method: string, path: string, body?: unknown, token?: string): Promise<Reply<T>>;
  inject(faults: Faults): void;
  calls(): string[];
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startCloud(
  start: (world: World, options: Machines & { actionMs: number; slowMs: number }) => Promise<Serving>,
  description: string,
  token: string,
): Promise<Cloud> {
  const dir = mkdtempSync(join(tmpdir(), "flotilla-cloud-"));
  const world = openWorld(dir);
  const rack = new Rack();
  const boot = () =>
    start(world, {
      boot: (machine) => rack.boot(machine),
      remove: (id) => rack.remove(id),
      power: (id, on) => rack.power(id, on),
      actionMs: 30,
      slowMs: 80,
    });
  const faultsOf = openDescription(description);
  let serving = await boot();
  return {
    world,
    rack,
    url: serving.url,
    ask: async <T>(
      method: string,
      path: string,
      body?: unknown,
      as = world.secret(token),
    ): Promise<Reply<T>> => {
      const response = await fetch(`${serving.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${as}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const answer: unknown = text === "" ? undefined : JSON.parse(text);
      const route = path.split("?")[0] ?? path;
      expect(faultsOf?.(method, route, response.status, answer) ?? []).toEqual([]);
      return { status: response.status, body: answer as T, headers: response.headers };
    },
    inject: (faults) => world.save("faults", faults),
    calls: () =>
      readFileSync(join(dir, "calls.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { call: string; detail?: string })
        .map(({ call, detail }) => (detail === undefined ? call : `${call} ${detail}`)),
    restart: async () => {
      await serving.close();
      serving = await boot();
    },
    close: async () => {
      await serving.close();
      await delay(60);
      rmSync(dir, { recursive: true });
    },
  };
}

/** Asks until the answer is as wanted. */
export async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  for (let turn = 0; turn < 200; turn++) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    await delay(10);
  }
  throw new Error("never became as wanted");
}
