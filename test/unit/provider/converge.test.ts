import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { convergeType } from "../../../provider/converge.ts";
import { PartialFailure, type Properties, type State, UNKNOWN } from "../../../provider/protocol.ts";
import type { Connection } from "../../../provider/ssh.ts";
import { Unreachable } from "../../../provider/ssh.ts";
import { identity, kind } from "../stand-ins/flake.ts";
import { contextOf, refusal, services } from "./fixture.ts";

const who = identity("builder-1", "ssh-ed25519 AAAA");
const identityHash = createHash("sha256").update(JSON.stringify(who)).digest("hex");
const inputs = {
  host: "builder-1",
  instanceId: "4711",
  address: "203.0.113.5",
  sshPort: 22,
  hostKey: "ssh-ed25519 HOST",
  revision: "kind1-identity1",
  kind: kind("runners") as unknown as Properties,
  identity: who as unknown as Properties,
  roleId: "role-1",
  registrations: { "builder-1-jobs-1": "mark-1" },
};

/** What the host runs and holds; undefined when it does not answer. */
let host: { kindRevision: string; identityHash: string; approle: boolean } | undefined;
let rollout: () => void;
/** Expiry by accessor, as Vault knows it. */
let secretIds: Record<string, string>;
let handover: { code: number; input: string | undefined };
let connected: Connection[];

const type = convergeType(
  services({
    settings: { drainSeconds: 60 },
    rollout: { converge: async () => rollout() },
    ssh: {
      connect: (connection: Connection) => connected.push(connection),
      remote: async (_: string, command: string, { input }: { input?: string }) => {
        if (command.includes("flotilla-approle")) {
          handover.input = input;
          return { code: handover.code, stdout: "", tail: ["what it said"] };
        }
        if (host === undefined) throw new Unreachable("builder-1 does not answer over SSH");
        const lines = Object.entries({ ...host, approle: host.approle ? "yes" : "" });
        return { code: 0, stdout: lines.map(([name, value]) => `${name}=${value}`).join("\n"), tail: [] };
      },
    },
    vault: {
      address: "https://vault.test",
      namespace: undefined,
      secretIdExpiry: async (_: string, accessor: string) => secretIds[accessor],
      mintSecretId: async () => {
        secretIds["new-accessor"] = "2099-02-19T00:00:00Z";
        return { wrappingToken: "s3cret-wrapping", roleId: "role-1", accessor: "new-accessor" };
      },
    },
  }),
);
const context = contextOf("builder-1");
const converged = {
  revision: "kind1-identity1",
  secretIdAccessor: "new-accessor",
  secretIdExpiresAt: "2099-02-19T00:00:00Z",
};
const state = (change: Partial<State> = {}): State => ({
  id: "builder-1",
  inputs,
  outputs: converged,
  ...change,
});
async function failed(promise: Promise<unknown> | undefined): Promise<PartialFailure> {
  const error = await promise?.catch((reason: unknown) => reason);
  if (error instanceof PartialFailure) return error;
  throw new Error("expected a partial failure", { cause: error });
}

beforeEach(() => {
  host = { kindRevision: "kind1", identityHash, approle: false };
  rollout = () => undefined;
  secretIds = {};
  handover = { code: 0, input: undefined };
  connected = [];
});

describe("a change", () => {
  const diff = (news: object, old = state()) => type.diff(old, { ...inputs, ...news });

  test.each([
    ["address", "203.0.113.6"],
    ["sshPort", 2222],
    ["hostKey", "ssh-ed25519 OTHER"],
    ["revision", "kind2-identity1"],
    ["registrations", { "builder-1-jobs-1": "mark-2" }],
    ["registrations", { "builder-1-jobs-1": UNKNOWN }],
  ])("of %s converges in place: %j", (property, value) => {
    expect(diff({ [property]: value })).toEqual({ update: [property] });
  });

  test("that the revision does not know is none", () => {
    expect(diff({ kind: { name: "renamed" }, identity: {} })).toEqual({ update: [] });
  });

  test.each([["4712"], [UNKNOWN]])("of the machine replaces, and drains before: %s", (instanceId) => {
    expect(diff({ instanceId })).toEqual({ replace: ["instanceId"], deleteBeforeReplace: true });
  });

  test("behind our back is one, too", () => {
    expect(diff({}, state({ outputs: { ...converged, revision: "kind0-identity1" } }))).toEqual({
      update: ["revision"],
    });
  });

  test("is due when the secret-id nears its end, so that an unchanged up heals it", () => {
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    const expiring = (secretIdExpiresAt: string) =>
      diff({}, state({ outputs: { ...converged, secretIdExpiresAt } }));
    expect(expiring(inDays(-1))).toEqual({ update: ["secretIdExpiresAt"] });
    expect(expiring(inDays(29))).toEqual({ update: ["secretIdExpiresAt"] });
    expect(expiring(inDays(31))).toEqual({ update: [] });
    expect(expiring("0001-01-01T00:00:00Z")).toEqual({ update: [] });
  });

  test("is previewed with the revision that the host is to run", () => {
    expect(type.preview?.({ ...inputs, revision: "kind2-identity1" }, state())).toEqual({
      revision: "kind2-identity1",
    });
  });
});

describe("converging", () => {
  test("claims what the host was seen to run, and hands it its Vault identity", async () => {
    expect(await type.create(inputs, context)).toEqual({ id: "builder-1", outputs: converged });
    expect(connected).toEqual([
      { host: "builder-1", address: "203.0.113.5", sshPort: 22, hostKeys: ["ssh-ed25519 HOST"] },
    ]);
    expect(JSON.parse(handover.input ?? "")).toEqual({
      address: "https://vault.test",
      wrappingToken: "s3cret-wrapping",
      roleId: "role-1",
    });
  });

  test("hands over nothing where the host holds a secret-id that Vault still knows", async () => {
    host = { kindRevision: "kind1", identityHash, approle: true };
    secretIds = { "old-accessor": "2098-12-01T00:00:00Z" };
    const old = state({ outputs: { ...converged, secretIdAccessor: "old-accessor" } });
    expect(await type.update?.(old, inputs, context)).toEqual({
      revision: "kind1-identity1",
      secretIdAccessor: "old-accessor",
      secretIdExpiresAt: "2098-12-01T00:00:00Z",
    });
    expect(handover.input).toBeUndefined();
  });

  test.each([
    ["lost its files", false, { "old-accessor": "2098-12-01T00:00:00Z" }],
    ["holds one that has expired", true, {}],
    ["holds one that ends soon", true, { "old-accessor": new Date(Date.now() + 86_400_000).toISOString() }],
  ])("heals a host that %s", async (_, approle, known) => {
    host = { kindRevision: "kind1", identityHash, approle };
    secretIds = known;
    const old = state({ outputs: { ...converged, secretIdAccessor: "old-accessor" } });
    expect(await type.update?.(old, inputs, context)).toEqual(converged);
  });

  test.each<[string, Partial<NonNullable<typeof host>>, string]>([
    ["another system", { kindRevision: "kind0" }, "kind0-identity1"],
    ["no system of ours", { kindRevision: "" }, "unknown-identity1"],
    ["another identity", { identityHash: "ff" }, "kind1-another-identity"],
  ])("that ends with %s is no success, whatever colmena said", async (_, seen, revision) => {
    host = { kindRevision: "kind1", identityHash, approle: false, ...seen };
    const failure = await failed(type.create(inputs, context));
    expect(failure.message).toContain(
      `builder-1 was switched, but runs ${revision} instead of kind1-identity1`,
    );
    expect(failure.outputs).toEqual({ revision });
    expect(handover.input).toBeUndefined();
  });

  test("that fails still says what the host runs, since it may run the new system all the same", async () => {
    rollout = () => {
      throw new Error("colmena could not converge builder-1");
    };
    const failure = await failed(
      type.update?.(state({ outputs: { revision: "kind0-identity1" } }), inputs, context),
    );
    expect(failure).toMatchObject({
      message: "colmena could not converge builder-1",
      id: "builder-1",
      outputs: { revision: "kind1-identity1" },
    });
  });

  test("that fails on a host that does not answer tells of colmena, and claims nothing", async () => {
    rollout = () => {
      throw new Error("colmena could not converge builder-1");
    };
    host = undefined;
    const failure = await failed(type.update?.(state(), inputs, context));
    expect(failure).toMatchObject({
      message: "colmena could not converge builder-1",
      outputs: { ...converged, revision: "" },
    });
  });
});

describe("handing over the Vault identity", () => {
  test("that somebody took before is an alarm, with the accessor to revoke and no secret", async () => {
    handover.code = 3;
    const failure = await failed(type.create(inputs, context));
    expect(failure.message).toContain("somebody may have intercepted it; revoke accessor new-accessor");
    expect(failure.outputs).toEqual({ revision: "kind1-identity1" });
    expect(failure.message).not.toContain("s3cret");
  });

  test("that fails is finished by the next up", async () => {
    handover.code = 1;
    const failure = await failed(type.create(inputs, context));
    expect(failure.message).toBe("builder-1 did not take its Vault identity:\n    what it said");
    handover.code = 0;
    expect(await type.update?.(state({ outputs: failure.outputs }), inputs, context)).toEqual(converged);
  });
});

describe("asking a host what it runs", () => {
  test("finds what the state says", async () => {
    expect(await type.read?.(state(), context)).toEqual(state());
  });

  test("shows drift, which the next up then brings back", async () => {
    host = { kindRevision: "kind0", identityHash, approle: true };
    const now = await type.read?.(state(), context);
    expect(now).toMatchObject({
      inputs: { revision: "kind0-identity1" },
      outputs: { revision: "kind0-identity1", secretIdAccessor: "new-accessor" },
    });
    expect(context.said.at(-1)).toContain("builder-1 runs kind0-identity1, not kind1-identity1");
    expect(type.diff(now ?? state(), inputs)).toEqual({ update: ["revision"] });
  });

  test("does not take silence for absence", async () => {
    host = undefined;
    expect(await refusal(type.read?.(state(), context) ?? Promise.resolve())).toContain("does not answer");
  });
});
