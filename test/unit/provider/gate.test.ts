import { beforeEach, describe, expect, test } from "vitest";
import type { Scope } from "../../../fleet/model.ts";
import type { RegisteredRunner } from "../../../provider/forges/forge.ts";
import { gateType } from "../../../provider/gate.ts";
import { contextOf, refusal, services } from "./fixture.ts";

const org = { kind: "org", name: "analytical" } as const;
const repo = { kind: "repo", owner: "ada", name: "engine" } as const;
const inputs = {
  wave: "canary",
  hosts: { "builder-1": "rev-1" },
  runners: {
    "builder-1-jobs-1": { forge: "code", scope: org, mark: "m" },
    "builder-1-jobs-2": { forge: "code", scope: org, mark: "m" },
    "builder-1-docker-1": { forge: "github", scope: repo, mark: "m" },
  },
  patienceSeconds: 30,
};

/** Runners that are online, by forge and kind of scope; functions for what changes with time. */
let online: Record<string, () => readonly string[]>;
let asked: string[];
const gate = gateType(
  services({
    forge: (forge: string) => ({
      list: async (scope: Scope): Promise<RegisteredRunner[]> => {
        const key = `${forge} ${scope.kind}`;
        asked.push(key);
        const up = online[key]?.() ?? [];
        return ["builder-1-jobs-1", "builder-1-jobs-2", "builder-1-docker-1"].map((name, id) => ({
          id: String(id),
          name,
          online: up.includes(name),
          busy: false,
          labels: [],
        }));
      },
    }),
  }),
);

beforeEach(() => {
  asked = [];
  online = {
    "code org": () => ["builder-1-jobs-1", "builder-1-jobs-2"],
    "github repo": () => ["builder-1-docker-1"],
  };
});

test("opens when all runners are online; each forge is asked once a scope", async () => {
  expect(await gate.create(inputs, contextOf("canary"))).toEqual({ id: "canary", outputs: { passed: true } });
  expect(asked.toSorted()).toEqual(["code org", "github repo"]);
});

test("opens at once for a wave without runners", async () => {
  await gate.create({ ...inputs, runners: {} }, contextOf("canary"));
  expect(asked).toEqual([]);
});

test("waits for runners that take their time", async () => {
  let polls = 0;
  online["github repo"] = () => (++polls > 1 ? ["builder-1-docker-1"] : []);
  const context = contextOf("canary");
  await gate.create(inputs, context);
  expect(polls).toBe(2);
  expect(context.said).toEqual(["progress: waiting for 1 runners to come online"]);
});

test("out of patience, names each runner that is not online and its forge", async () => {
  online["code org"] = () => ["builder-1-jobs-1"];
  online["github repo"] = () => [];
  const message = await refusal(gate.create({ ...inputs, patienceSeconds: 0 }, contextOf("canary")));
  expect(message).toContain(
    "after 0 s these runners are not online: builder-1-jobs-2 (code), builder-1-docker-1 (github);",
  );
});

test("is asked again by an update, which can fail alike", async () => {
  online["github repo"] = () => [];
  const old = { id: "canary", inputs, outputs: { passed: true } };
  const again = gate.update?.(old, { ...inputs, patienceSeconds: 0 }, contextOf("canary"));
  expect(await refusal(again ?? Promise.resolve())).toContain("builder-1-docker-1 (github)");
});

test("stops waiting at once when it is cancelled", async () => {
  online["code org"] = () => [];
  const context = contextOf("canary");
  const start = Date.now();
  const ended = refusal(gate.create(inputs, context));
  setTimeout(context.cancel, 50);
  await ended;
  expect(Date.now() - start).toBeLessThan(400);
});

describe("a change", () => {
  const diff = (news: object) => gate.diff({ id: "canary", inputs, outputs: {} }, { ...inputs, ...news });

  test("of what its hosts run, or of their runners, asks again", () => {
    expect(diff({ hosts: { "builder-1": "rev-2" } })).toEqual({ update: ["hosts"] });
    expect(diff({ runners: {} })).toEqual({ update: ["runners"] });
  });

  test("of its patience alone asks nobody", () => {
    expect(diff({ patienceSeconds: 60 })).toEqual({ update: [] });
  });
});
