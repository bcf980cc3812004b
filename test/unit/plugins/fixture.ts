import type {
  Context,
  Properties,
  ProviderDefinition,
  ResourceType,
  State,
} from "../../../provider/protocol.ts";

export function contextOf(token: string, name = "test"): Context {
  return {
    urn: `urn:pulumi:test::flotilla::${token}::${name}`,
    name,
    preview: false,
    signal: new AbortController().signal,
    info: () => undefined,
    warn: () => undefined,
    progress: () => undefined,
  };
}

/** A resource of a plugin, driven as the engine drives it. */
export interface Driver {
  create(inputs: Properties): Promise<State>;
  /** Undefined when it is gone. */
  refresh(state: State): Promise<State | undefined>;
  /** Names of the inputs that an `up` with these would change. */
  changes(state: State, inputs: Properties): string[];
  update(state: State, inputs: Properties): Promise<State>;
  delete(state: State): Promise<void>;
}

export function drive(plugin: ProviderDefinition, token: string): Driver {
  const found = plugin.resources[token];
  if (found === undefined) throw new Error(`no ${token}`);
  const type: ResourceType = found;
  const context = contextOf(token);
  const check = (inputs: Properties): Properties => {
    const checked = type.check?.(inputs, context) ?? { inputs };
    if (checked.failures?.length) throw new Error(checked.failures.map(({ reason }) => reason).join("; "));
    return checked.inputs;
  };
  return {
    create: async (inputs) => {
      const checked = check(inputs);
      return { ...(await type.create(checked, context)), inputs: checked };
    },
    refresh: async (state) => type.read?.(state, context),
    changes: (state, inputs) => {
      const { replace = [], update = [] } = type.diff(state, check(inputs));
      return [...replace, ...update];
    },
    update: async (state, inputs) => {
      const checked = check(inputs);
      const outputs = await type.update?.(state, checked, context);
      return { id: state.id, inputs: checked, outputs: outputs ?? state.outputs };
    },
    delete: async (state) => type.delete?.(state, context),
  };
}
