/**
 * A stand-in resource from a table: what an official plugin's schema says of each input, and the calls that carry it out.
 * Diffs, defaults, previews and drift follow from the table, so a plugin holds only what is its own.
 */
import { createHash } from "node:crypto";
import {
  type Change,
  type Context,
  changedKeys,
  hasUnknown,
  isUnknown,
  PartialFailure,
  type Properties,
  type ResourceType,
  type State,
  type Value,
} from "../../provider/protocol.ts";

/** What a change of an input does. `computed` inputs keep what is there when the program names nothing. */
export type Rule =
  | "update"
  | "replace"
  | "computed update"
  | "computed replace"
  | ((old: Properties, news: Properties) => "update" | "replace" | "nothing");

export interface Table {
  readonly inputs: Readonly<Record<string, Rule>>;
  readonly required?: readonly string[];
  /** Of the Terraform provider: they count in a diff and stand in outputs; the bridge keeps them out of inputs. */
  readonly defaults?: Properties;
  /** `name` is made from the logical name when the program gives none. */
  readonly named?: boolean;
  /** A replacement removes the old one first, as the official plugin does for what has a name of its own. */
  readonly deleteFirst?: boolean;
  /** Lists whose order, at any depth, means nothing. */
  readonly sets?: readonly string[];
  /** Inputs that the API does not give back: no drift is seen in them. */
  readonly writeOnly?: readonly string[];
  /** What the state shows instead of an input. */
  readonly shown?: Readonly<Record<string, (value: Value) => Value>>;
  /** Inputs that the official plugin takes and the stand-in refuses. */
  readonly unsupported?: readonly string[];
}

export interface Created {
  readonly id: string;
  /** Waits for what goes on after the thing is there; its failure leaves a resource that the next `up` finishes. */
  readonly finish?: () => Promise<void>;
}

export interface Calls {
  create(inputs: Properties, context: Context): Promise<Created>;
  /** The outputs as the API has them, under the names of the resource; undefined when it is gone. */
  read(id: string, state: Properties, context: Context): Promise<Properties | undefined>;
  update?(old: State, news: Properties, changed: ReadonlySet<string>, context: Context): Promise<void>;
  delete(old: State, context: Context): Promise<void>;
}

export function resource(table: Table, calls: Calls): ResourceType {
  const filled = (inputs: Properties): Properties => ({ ...table.defaults, ...inputs });
  const show = (inputs: Properties): Properties =>
    Object.fromEntries(
      Object.entries(filled(inputs)).map(([key, value]) => {
        const shown = table.shown?.[key];
        return [key, shown === undefined || hasUnknown(value) ? value : shown(value)];
      }),
    );

  const outputsOf = async (
    id: string,
    inputs: Properties,
    state: Properties,
    context: Context,
  ): Promise<Properties> => {
    const outputs = await calls.read(id, state, context);
    if (outputs === undefined) throw new Error(`${context.name} (${id}) is gone; run pulumi refresh`);
    return { ...show(inputs), ...outputs };
  };

  return {
    check: (news, context) => ({
      inputs: withName(table, news, context),
      failures: failuresOf(table, news),
    }),

    diff: (old, news) => diff(table, filled(old.inputs), filled(news)),

    create: async (given, context) => {
      const inputs = filled(given);
      const { id, finish } = await calls.create(inputs, context);
      try {
        await finish?.();
        return { id, outputs: await outputsOf(id, inputs, inputs, context) };
      } catch (error) {
        throw new PartialFailure(error instanceof Error ? error.message : String(error), id, show(inputs));
      }
    },

    preview: (news, old) => ({ ...old?.outputs, ...show(news) }),

    read: async (old, context) => {
      const outputs = await calls.read(old.id, old.outputs, context);
      if (outputs === undefined) return undefined;
      return {
        id: old.id,
        inputs: drifted(table, old.inputs, outputs),
        outputs: { ...show(old.inputs), ...outputs },
      };
    },

    update: async (old, given, context) => {
      const news = filled(given);
      const changed = new Set(diff(table, filled(old.inputs), news).update);
      await calls.update?.(old, news, changed, context);
      return outputsOf(old.id, news, { ...old.outputs, ...news }, context);
    },

    delete: (old, context) => calls.delete(old, context),
  };
}

/** A setting of a provider: text, or undefined when it is absent, empty or not known yet. */
export function setting(config: Properties, name: string): string | undefined {
  const value = config[name];
  return typeof value === "string" && value !== "" && !isUnknown(value) ? value : undefined;
}

function withName(table: Table, news: Properties, context: Context): Properties {
  if (!table.named || news.name !== undefined) return news;
  // From the URN, so that it stays the same without the inputs of the last time.
  const suffix = createHash("sha256").update(context.urn).digest("hex").slice(0, 7);
  return { ...news, name: `${context.name}-${suffix}` };
}

function failuresOf(table: Table, news: Properties): { property: string; reason: string }[] {
  const missing = (table.required ?? [])
    .filter((property) => news[property] === undefined)
    .map((property) => ({ property, reason: `Missing required property '${property}'` }));
  const refused = (table.unsupported ?? [])
    .filter((property) => news[property] !== undefined && news[property] !== false)
    .map((property) => ({ property, reason: `the rehearsal's stand-in does not simulate ${property}` }));
  const unheard = Object.keys(news)
    .filter((property) => !(property in table.inputs) && !table.unsupported?.includes(property))
    .map((property) => ({ property, reason: `unknown property ${property}` }));
  return [...missing, ...refused, ...unheard];
}

function diff(table: Table, old: Properties, news: Properties): Change {
  const replace: string[] = [];
  const update: string[] = [];
  for (const key of changedKeys(canonical(table, old), canonical(table, news))) {
    const rule = table.inputs[key];
    if (rule === undefined) continue;
    if (typeof rule === "function") {
      const effect = rule(old, news);
      if (effect === "replace") replace.push(key);
      if (effect === "update") update.push(key);
    } else if (rule.startsWith("computed") && news[key] === undefined) continue;
    else if (rule.endsWith("replace")) replace.push(key);
    else update.push(key);
  }
  return { replace, update, deleteBeforeReplace: replace.length > 0 && table.deleteFirst === true };
}

/** The inputs that would have made what is there, so that the next diff shows what was changed by hand. */
function drifted(table: Table, inputs: Properties, outputs: Properties): Properties {
  const now: Record<string, Value> = { ...inputs };
  for (const [key, rule] of Object.entries(table.inputs)) {
    const [wanted, actual] = [inputs[key] ?? table.defaults?.[key], outputs[key]];
    if (actual === undefined || table.writeOnly?.includes(key) || table.shown?.[key]) continue;
    const computed = typeof rule === "string" && rule.startsWith("computed");
    if (wanted === undefined && Object.keys(inputs).length > 0 && (computed || isEmpty(actual))) continue;
    if (
      changedKeys(canonical(table, { [key]: wanted ?? null }), canonical(table, { [key]: actual })).length > 0
    )
      now[key] = actual;
  }
  return now;
}

function isEmpty(value: Value): boolean {
  if (value === null || typeof value !== "object") return !value;
  return Object.keys(value).length === 0;
}

function canonical(table: Table, properties: Properties): Properties {
  const entries = Object.entries(properties).map(([key, value]): [string, Value] => [
    key,
    table.sets?.includes(key) ? sorted(value) : typeof value === "string" ? value.trim() : value,
  ]);
  return Object.fromEntries(entries);
}

/** What is empty says the same as what is absent. */
function sorted(value: Value): Value {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const text = (item: Value) => JSON.stringify(item);
    return (value as readonly Value[]).map(sorted).toSorted((a, b) => (text(a) < text(b) ? -1 : 1));
  }
  const entries = Object.entries(value as Properties).filter(([, item]) => !isEmpty(item));
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]),
  );
}
