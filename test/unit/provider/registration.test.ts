import { beforeEach, describe, expect, test } from "vitest";
import type { Scope } from "../../../fleet/model.ts";
import type { ForgeClient, RegisteredRunner, RunnerCredential } from "../../../provider/forges/forge.ts";
import { type State, UNKNOWN } from "../../../provider/protocol.ts";
import { registrationType } from "../../../provider/registration.ts";
import { contextOf, refusal, services } from "./fixture.ts";

const scope = { kind: "org", name: "analytical" } as const;
const inputs = {
  host: "builder-1",
  instanceId: "4711",
  runner: "builder-1-jobs-1",
  forge: "code",
  scope,
  labels: ["nix"],
  ephemeral: false,
};
const context = contextOf("builder-1-jobs-1");

/** What the forge and Vault were asked, in order. */
let calls: string[];
let runners: RegisteredRunner[];
let record: string | undefined;
let vaultAnswers: () => void;
let credential: RunnerCredential;

const forge: ForgeClient = {
  createCredential: async (spec) => {
    calls.push(`forge credential ${JSON.stringify(spec)}`);
    return { credential, ...(record === undefined ? {} : { id: record }) };
  },
  find: async (where: Scope, name) => {
    calls.push(`forge find ${where.kind} ${name}`);
    return runners.find((runner) => runner.name === name);
  },
  list: async () => runners,
  remove: async (_, id) => void calls.push(`forge remove ${id}`),
};
const type = registrationType(
  services({
    settings: { forges: { code: { kind: "forgejo", url: "https://code.test" } } },
    forge: (name: string) => {
      if (name !== "code") throw new Error(`forge ${name} is not in the configuration`);
      return forge;
    },
    vault: {
      writeRunner: async (...args: unknown[]) => {
        vaultAnswers();
        calls.push(`vault write ${JSON.stringify(args)}`);
      },
      removeRunner: async (host: string, runner: string) => void calls.push(`vault remove ${host}/${runner}`),
    },
  }),
);
const runner = (name: string): RegisteredRunner => ({ id: "9", name, online: true, busy: false, labels: [] });
const state = (change: Partial<State> = {}): State => ({
  id: "code/x",
  inputs,
  outputs: { mark: "m" },
  ...change,
});

beforeEach(() => {
  calls = [];
  runners = [];
  record = undefined;
  vaultAnswers = () => undefined;
  credential = { kind: "registration-token", token: "s3cret-runner", expiresAt: "2026-11-21T05:00:00Z" };
});

describe("registering", () => {
  test("takes the credential from the forge straight into Vault; the state has a mark in its place", async () => {
    const { id, outputs } = await type.create(inputs, context);
    expect(calls).toEqual([
      `forge credential {"name":"builder-1-jobs-1","scope":${JSON.stringify(scope)},"labels":["nix"],"ephemeral":false}`,
      `vault write ${JSON.stringify(["builder-1", "builder-1-jobs-1", credential, { url: "https://code.test", mark: outputs.mark }])}`,
    ]);
    expect(id).toBe("code/builder-1-jobs-1");
    expect(outputs).toEqual({ mark: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(JSON.stringify([outputs, context.said])).not.toContain("s3cret");
  });

  test("anew is told by the mark, so that the host takes the new credential", async () => {
    const [one, two] = [await type.create(inputs, context), await type.create(inputs, context)];
    expect(one.outputs.mark).not.toBe(two.outputs.mark);
  });

  test("keeps the forge's record where it is made at once, and neither uuid nor token", async () => {
    record = "12";
    credential = { kind: "uuid-token", uuid: "s3cret-uuid", token: "s3cret-runner" };
    const { outputs } = await type.create(inputs, context);
    expect(outputs).toEqual({ mark: expect.any(String), recordId: "12" });
  });

  test("fails without a credential in a message when Vault does not take it", async () => {
    vaultAnswers = () => {
      throw new Error("Vault answered 403");
    };
    expect(await refusal(type.create(inputs, context))).toBe("Vault answered 403");
  });
});

describe("a change", () => {
  const diff = (news: object) => type.diff(state(), { ...inputs, ...news });

  test("of nothing is none", () => {
    expect(diff({ scope: { name: "analytical", kind: "org" } })).toEqual({
      replace: [],
      update: [],
      deleteBeforeReplace: true,
    });
  });

  test("of labels travels with the kind and asks the forge nothing", async () => {
    expect(diff({ labels: ["nix", "arm"] })).toMatchObject({ replace: [], update: ["labels"] });
    expect(await type.update?.(state(), { ...inputs, labels: [] }, context)).toEqual({ mark: "m" });
    expect(calls).toEqual([]);
  });

  test.each([
    ["host", "builder-2"],
    ["instanceId", "4712"],
    ["instanceId", UNKNOWN],
    ["runner", "builder-1-other-1"],
    ["forge", "github"],
    ["scope", { kind: "org", name: "other" }],
    ["ephemeral", true],
  ])("of %s registers anew, after the old one is gone: %j", (property, value) => {
    expect(diff({ [property]: value })).toEqual({
      replace: [property],
      update: [],
      deleteBeforeReplace: true,
    });
  });

  test("in a preview keeps the mark, so that the host is not listed for labels", () => {
    expect(type.preview?.({ ...inputs, labels: [] }, state())).toEqual({ mark: "m" });
    expect(type.preview?.(inputs)).toEqual({});
  });
});

describe("what is there", () => {
  test("is there as long as the forge lists it", async () => {
    runners = [runner("builder-1-jobs-1")];
    expect(await type.read?.(state(), context)).toEqual(state());
    runners = [runner("builder-1-jobs-11")];
    expect(await type.read?.(state(), context)).toBeUndefined();
  });

  test("of an ephemeral runner is its right to join, not the forge's passing record", async () => {
    const ephemeral = state({ inputs: { ...inputs, ephemeral: true } });
    expect(await type.read?.(ephemeral, context)).toEqual(ephemeral);
    expect(calls).toEqual([]);
  });
});

describe("removal", () => {
  test("leaves the forge first, then Vault", async () => {
    runners = [runner("builder-1-jobs-1")];
    await type.delete?.(state(), context);
    expect(calls).toEqual([
      "forge find org builder-1-jobs-1",
      "forge remove 9",
      "vault remove builder-1/builder-1-jobs-1",
    ]);
  });

  test("goes by the record where the forge made one at once", async () => {
    await type.delete?.(state({ outputs: { mark: "m", recordId: "12" } }), context);
    expect(calls.slice(-2)).toEqual(["forge remove 12", "vault remove builder-1/builder-1-jobs-1"]);
  });

  test("of a runner that runs a job leaves it and its credential where they are", async () => {
    runners = [{ id: "7", name: "builder-1-jobs-1", online: true, busy: true, labels: [] }];
    expect(await refusal(type.delete?.(state(), context) ?? Promise.resolve())).toContain(
      "runs a job at code",
    );
    expect(calls).toEqual(["forge find org builder-1-jobs-1"]);
  });

  test("of a runner that never joined only takes its credential away", async () => {
    await type.delete?.(state(), context);
    expect(calls).toEqual(["forge find org builder-1-jobs-1", "vault remove builder-1/builder-1-jobs-1"]);
  });

  test("from a forge that is no longer configured touches nothing, and says so", async () => {
    const old = state({ inputs: { ...inputs, forge: "gone" } });
    expect(await refusal(type.delete?.(old, context) ?? Promise.resolve())).toContain("forge gone");
    expect(calls).toEqual([]);
  });
});
