/** A host runs what the code says: updated in place, replaced only with its machine, drained when it goes. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Identity, Kind } from "../fleet/model.ts";
import { drain } from "./drain.ts";
import { readProperties } from "./inputs.ts";
import { type MachineFacts, readFacts } from "./machine-facts.ts";
import { lastWords } from "./process.ts";
import {
  type Context,
  changedKeys,
  hasUnknown,
  PartialFailure,
  type Properties,
  type ResourceType,
} from "./protocol.ts";
import type { Services } from "./services.ts";

const inputsSchema = z.object({
  host: z.string(),
  instanceId: z.string(),
  address: z.string(),
  sshPort: z.number(),
  hostKey: z.string(),
  /** `<kind revision>-<identity hash>`. */
  revision: z.string(),
  kind: z.custom<Kind>((value) => typeof value === "object"),
  identity: z.custom<Identity>((value) => typeof value === "object"),
  /** Of the host's AppRole: a role that was made anew has another, and its host needs a new login. */
  roleId: z.string(),
  /** By runner, what changes when its credential is a new one. */
  registrations: z.record(z.string(), z.string()),
});
type ConvergeInputs = z.output<typeof inputsSchema>;

const outputsSchema = z.object({
  /** What the host was seen to run. */
  revision: z.string(),
  secretIdAccessor: z.string().optional(),
  secretIdExpiresAt: z.string().optional(),
});
type ConvergeOutputs = z.output<typeof outputsSchema>;

/** A secret-id lives 90 days (components/vault.ts); in its last 30 any `up` brings a new one. */
const renewalMs = 30 * 86_400_000;

/** An unchanged host is not asked again because a path on this machine, or a wave, is another. */
const meaningful = ["address", "sshPort", "hostKey", "revision", "roleId", "registrations"] as const;

export function convergeType(services: () => Services): ResourceType {
  return {
    diff: (old, news) => {
      if (hasUnknown(news.instanceId) || old.inputs.instanceId !== news.instanceId)
        return { replace: ["instanceId"], deleteBeforeReplace: true };
      const changed = changedKeys(old.inputs, news).filter((key) => meaningful.some((each) => each === key));
      const drifted = old.outputs.revision !== news.revision ? ["revision"] : [];
      const { secretIdExpiresAt } = old.outputs;
      const expiring =
        typeof secretIdExpiresAt === "string" && isDue(secretIdExpiresAt) ? ["secretIdExpiresAt"] : [];
      return { update: [...new Set([...changed, ...drifted, ...expiring])] };
    },
    preview: (news) => ({ revision: news.revision ?? null }),
    create: async (properties, context) => {
      const outputs = await bring(properties, { revision: "" }, services(), context);
      return { id: readProperties(inputsSchema, properties).host, outputs };
    },
    update: (old, properties, context) =>
      bring(properties, readProperties(outputsSchema, old.outputs), services(), context),
    read: async (old, context) => {
      const inputs = readProperties(inputsSchema, old.inputs);
      connect(inputs, services());
      const facts = await readFacts(services().ssh, inputs.host, {
        signal: context.signal,
        retrySeconds: 20,
      });
      const revision = revisionOf(facts, inputs);
      if (revision === inputs.revision) return { ...old, outputs: { ...old.outputs, revision } };
      context.warn(`${inputs.host} runs ${revision}, not ${inputs.revision}; the next up brings it back`);
      return { ...old, inputs: { ...old.inputs, revision }, outputs: { ...old.outputs, revision } };
    },
    delete: async (old, context) => {
      const inputs = readProperties(inputsSchema, old.inputs);
      connect(inputs, services());
      await drain(inputs.host, services(), context);
    },
  };
}

/** The outputs; when it fails, those that are true of the host all the same, so that the next up goes on from there. */
async function bring(
  properties: Properties,
  old: ConvergeOutputs,
  services: Services,
  context: Context,
): Promise<Properties> {
  const inputs = readProperties(inputsSchema, properties);
  const state = { outputs: old };
  try {
    await converge(inputs, state, services, context);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new PartialFailure(message, inputs.host, render(state.outputs));
  }
  return render(state.outputs);
}

/** Writes into `state.outputs` what is true of the host, also when it throws. */
async function converge(
  inputs: ConvergeInputs,
  state: { outputs: ConvergeOutputs },
  services: Services,
  context: Context,
): Promise<void> {
  const { host, kind, identity } = inputs;
  connect(inputs, services);
  context.progress("waiting for its wave");
  const failure = await services.rollout.converge({ host, kind, identity, progress: context.progress }).then(
    () => undefined,
    (error: unknown) => error,
  );

  // A failed switch may have changed the host all the same, so it is asked either way; until it answers, nothing is claimed.
  state.outputs = { ...state.outputs, revision: "" };
  const retrySeconds = failure === undefined ? 60 : 10;
  const facts = await readFacts(services.ssh, host, { signal: context.signal, retrySeconds }).catch(
    (error) => {
      throw failure ?? error;
    },
  );
  const revision = revisionOf(facts, inputs);
  state.outputs = { ...state.outputs, revision };
  if (failure !== undefined) throw failure;
  if (revision !== inputs.revision)
    throw new Error(
      `${host} was switched, but runs ${revision} instead of ${inputs.revision}; see \`journalctl -b\` on it, then run up again`,
    );
  state.outputs = {
    ...state.outputs,
    ...(await ensureApprole(host, facts, state.outputs, services, context)),
  };
}

/** What the host runs, in the words of the code: the kind it was built from and the identity it holds. */
function revisionOf(facts: MachineFacts, inputs: ConvergeInputs): string {
  const expected = createHash("sha256").update(JSON.stringify(inputs.identity)).digest("hex");
  const [, identityHash = ""] = inputs.revision.split("-");
  const identity = facts.identityHash === expected ? identityHash : "another-identity";
  return `${facts.kindRevision || "unknown"}-${identity}`;
}

/** Gives the host a secret-id when it holds none that Vault still knows. */
async function ensureApprole(
  host: string,
  facts: MachineFacts,
  old: ConvergeOutputs,
  services: Services,
  context: Context,
): Promise<Partial<ConvergeOutputs>> {
  const { vault, ssh } = services;
  if (facts.approle && old.secretIdAccessor !== undefined) {
    const expiresAt = await vault.secretIdExpiry(host, old.secretIdAccessor);
    if (expiresAt !== undefined && !isDue(expiresAt)) return { secretIdExpiresAt: expiresAt };
  }
  context.progress("handing over the Vault identity");
  const { wrappingToken, roleId, accessor } = await vault.mintSecretId(host);
  const { address, namespace } = vault;
  const result = await ssh.remote(host, "/run/current-system/sw/bin/flotilla-approle", {
    signal: context.signal,
    timeoutSeconds: 60,
    input: JSON.stringify({
      address,
      wrappingToken,
      roleId,
      ...(namespace === undefined ? {} : { namespace }),
    }),
  });
  if (result.code === 3)
    throw new Error(
      `${host} found the wrapping token of its secret-id used or gone: somebody may have intercepted it; revoke accessor ${accessor}, then run up again`,
    );
  if (result.code !== 0) throw new Error(`${host} did not take its Vault identity${lastWords(result.tail)}`);
  const expiresAt = await vault.secretIdExpiry(host, accessor);
  return { secretIdAccessor: accessor, ...(expiresAt === undefined ? {} : { secretIdExpiresAt: expiresAt }) };
}

function isDue(expiresAt: string): boolean {
  const time = Date.parse(expiresAt);
  // Vault's year 1 means never.
  return time > 0 && time - Date.now() < renewalMs;
}

function connect(inputs: ConvergeInputs, services: Services): void {
  const { host, address, sshPort, hostKey } = inputs;
  services.ssh.connect({ host, address, sshPort, hostKeys: [hostKey] });
}

function render({ revision, secretIdAccessor, secretIdExpiresAt }: ConvergeOutputs): Properties {
  return {
    revision,
    ...(secretIdAccessor === undefined ? {} : { secretIdAccessor }),
    ...(secretIdExpiresAt === undefined ? {} : { secretIdExpiresAt }),
  };
}
