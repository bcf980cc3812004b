/**
 * Pulumi's provider protocol, as far as a provider of plain resources needs it: one gRPC server per provider, one
 * `ResourceType` per resource. Unlike the server that ships with the SDK it keeps known values known in previews, hands
 * Configure's values to the provider, passes progress to the engine and cancels.
 */
import grpc from "@grpc/grpc-js";
import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineProto from "@pulumi/pulumi/proto/engine_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import proto from "@pulumi/pulumi/proto/provider_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import anyProto from "google-protobuf/google/protobuf/any_pb.js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";

export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };
export type Properties = { readonly [name: string]: Value };

/** Pulumi's sentinel for a value that is not known in a preview (sdk/go/common/resource/plugin/rpc.go). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

export function isUnknown(value: Value | undefined): boolean {
  return value === UNKNOWN;
}

/** Whether a value that is not known stands anywhere in it. */
export function hasUnknown(value: Value | undefined): boolean {
  if (value === null || typeof value !== "object") return isUnknown(value);
  return Object.values(value).some(hasUnknown);
}

/** Marks an output as secret: Pulumi encrypts it in state and masks it. Inputs arrive without such marks. */
export function secret(value: Value): Value {
  return { [SIGNATURE]: SECRET, value };
}

/** What a resource's operation knows of its surroundings. */
export interface Context {
  readonly urn: string;
  /** Logical name. */
  readonly name: string;
  readonly preview: boolean;
  /** Aborted when the engine cancels. */
  readonly signal: AbortSignal;
  info(message: string): void;
  warn(message: string): void;
  /** The resource's status line while the operation runs; not kept. */
  progress(message: string): void;
}

/** What a change of inputs does. Both lists hold input names; both empty means nothing. */
export interface Change {
  readonly replace?: readonly string[];
  readonly update?: readonly string[];
  readonly deleteBeforeReplace?: boolean;
}

export interface State {
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export interface CheckResult {
  readonly inputs: Properties;
  readonly failures?: readonly { readonly property: string; readonly reason: string }[];
}

export interface ResourceType {
  /** Fills defaults and refuses bad input. Default: inputs as they are. */
  check?(news: Properties, context: Context): CheckResult;
  diff(old: State, news: Properties): Change;
  create(
    inputs: Properties,
    context: Context,
  ): Promise<{ readonly id: string; readonly outputs: Properties }>;
  /** Outputs known in a preview of a create (`old` undefined) or an update; the others are unknown. */
  preview?(news: Properties, old?: State): Properties;
  /** What is there now; undefined when it is gone. Default: what the state says. */
  read?(old: State, context: Context): Promise<State | undefined>;
  update?(old: State, news: Properties, context: Context): Promise<Properties>;
  delete?(old: State, context: Context): Promise<void>;
}

export interface ProviderDefinition {
  readonly name: string;
  readonly version: string;
  readonly resources: { readonly [token: string]: ResourceType };
  /** Called with the provider's configuration before any resource operation but check and diff of the provider itself. */
  configure(config: Properties): Promise<void> | void;
  /** Called once when the engine cancels or the provider's engine is gone. */
  cancel?(): void;
}

/** Thrown by create and update when the thing exists but is not finished: Pulumi keeps it and runs update next time. */
export class PartialFailure extends Error {
  readonly id: string;
  readonly outputs: Properties;
  constructor(message: string, id: string, outputs: Properties) {
    super(message);
    this.name = "PartialFailure";
    this.id = id;
    this.outputs = outputs;
  }
}

interface Response {
  setProperties(properties: structProto.Struct): unknown;
}

/**
 * Serves a provider on loopback.
 * @param engine address of the engine, given to plugins as their first argument; absent when the engine attaches.
 */
export async function serveProvider(
  definition: ProviderDefinition,
  engine?: string,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const abort = new AbortController();
  let log = engine === undefined ? undefined : connectEngine(engine);

  const cancel = () => {
    if (abort.signal.aborted) return;
    abort.abort(new Error("cancelled"));
    definition.cancel?.();
  };

  const contextOf = (urn: string, preview: boolean): Context => {
    const say = (severity: engineProto.LogSeverity, message: string, ephemeral: boolean) => {
      const request = new engineProto.LogRequest();
      request.setSeverity(severity).setMessage(message).setUrn(urn).setEphemeral(ephemeral);
      log?.log(request, () => undefined);
    };
    return {
      urn,
      name: urn.slice(urn.lastIndexOf("::") + 2),
      preview,
      signal: abort.signal,
      info: (message) => say(engineProto.LogSeverity.INFO, message, false),
      warn: (message) => say(engineProto.LogSeverity.WARNING, message, false),
      progress: (message) => say(engineProto.LogSeverity.INFO, message, true),
    };
  };

  const typeOf = (urn: string): ResourceType => {
    const qualified = urn.split("::")[2] ?? "";
    const token = qualified.slice(qualified.lastIndexOf("$") + 1);
    const type = definition.resources[token];
    if (type === undefined) throw new Error(`${definition.name} has no resource type ${token}`);
    return type;
  };

  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  server.addService(providerGrpc.ResourceProviderService as unknown as grpc.ServiceDefinition, {
    getPluginInfo: unary(() => new pluginProto.PluginInfo().setVersion(definition.version)),
    attach: unary((request: pluginProto.PluginAttach) => {
      log = connectEngine(request.getAddress());
      return new emptyProto.Empty();
    }),
    checkConfig: unary((request: proto.CheckRequest) =>
      new proto.CheckResponse().setInputs(toStruct(fromStruct(request.getNews()))),
    ),
    diffConfig: unary((request: proto.DiffRequest) => {
      const olds = fromStruct(request.getOldInputs() ?? request.getOlds());
      return renderDiff({ update: changedKeys(olds, fromStruct(request.getNews())) });
    }),
    configure: unary(async (request: proto.ConfigureRequest) => {
      await definition.configure(reveal(fromStruct(request.getArgs())));
      return new proto.ConfigureResponse().setSupportspreview(true).setAcceptsecrets(false);
    }),
    check: unary((request: proto.CheckRequest) => {
      const news = fromStruct(request.getNews());
      const urn = request.getUrn();
      const result = typeOf(urn).check?.(news, contextOf(urn, true)) ?? { inputs: news };
      const failures = (result.failures ?? []).map(({ property, reason }) =>
        new proto.CheckFailure().setProperty(property).setReason(reason),
      );
      return new proto.CheckResponse().setInputs(toStruct(result.inputs)).setFailuresList(failures);
    }),
    diff: unary((request: proto.DiffRequest) => {
      const old = stateOf(request.getId(), request.getOldInputs(), request.getOlds());
      const ignored = new Set(request.getIgnorechangesList());
      const news = Object.fromEntries(
        Object.entries(fromStruct(request.getNews())).map(([key, value]) => [
          key,
          ignored.has(key) ? (old.inputs[key] ?? value) : value,
        ]),
      );
      return renderDiff(typeOf(request.getUrn()).diff(old, news));
    }),
    create: unary(async (request: proto.CreateRequest) => {
      const type = typeOf(request.getUrn());
      const inputs = fromStruct(request.getProperties());
      if (request.getPreview())
        return withProperties(new proto.CreateResponse(), type.preview?.(inputs) ?? {});
      const { id, outputs } = await type.create(inputs, contextOf(request.getUrn(), false));
      return withProperties(new proto.CreateResponse().setId(id), outputs);
    }),
    read: unary(async (request: proto.ReadRequest) => {
      const type = typeOf(request.getUrn());
      const old = stateOf(request.getId(), request.getInputs(), request.getProperties());
      const now = type.read === undefined ? old : await type.read(old, contextOf(request.getUrn(), false));
      if (now === undefined) return new proto.ReadResponse();
      return withProperties(
        new proto.ReadResponse().setId(now.id).setInputs(toStruct(now.inputs)),
        now.outputs,
      );
    }),
    update: unary(async (request: proto.UpdateRequest) => {
      const type = typeOf(request.getUrn());
      const old = stateOf(request.getId(), request.getOldInputs(), request.getOlds());
      const news = fromStruct(request.getNews());
      if (request.getPreview())
        return withProperties(new proto.UpdateResponse(), type.preview?.(news, old) ?? {});
      if (type.update === undefined) throw new Error(`${request.getUrn()} cannot be updated in place`);
      return withProperties(
        new proto.UpdateResponse(),
        await type.update(old, news, contextOf(request.getUrn(), false)),
      );
    }),
    delete: unary(async (request: proto.DeleteRequest) => {
      const old = stateOf(request.getId(), request.getOldInputs(), request.getProperties());
      await typeOf(request.getUrn()).delete?.(old, contextOf(request.getUrn(), false));
      return new emptyProto.Empty();
    }),
    cancel: unary(() => {
      // An engine that attached ends its run with this and leaves the server to the next one.
      if (engine !== undefined) cancel();
      return new emptyProto.Empty();
    }),
  });

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    close: async () => {
      cancel();
      server.forceShutdown();
      log?.close();
    },
  };
}

/** Names whose values differ; a value that is not known differs from every known one. */
export function changedKeys(olds: Properties, news: Properties): string[] {
  const keys = new Set([...Object.keys(olds), ...Object.keys(news)]);
  return [...keys].filter((key) => hasUnknown(news[key]) || !same(olds[key], news[key]));
}

function same(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a === undefined || b === undefined || Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return (
    left.length === right.length &&
    left.every(([key, value]) => same(value, (b as Readonly<Record<string, Value>>)[key]))
  );
}

/** Configure's values bear marks of secrecy: the engine does not know yet that we want none. */
function reveal(properties: Properties): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const marked = typeof value === "object" && value !== null && SIGNATURE in value;
      return [name, marked && "value" in value ? (value.value as Value) : value];
    }),
  );
}

function connectEngine(address: string): engineGrpc.EngineClient {
  return new engineGrpc.EngineClient(address, grpc.credentials.createInsecure());
}

function stateOf(
  id: string,
  inputs: structProto.Struct | undefined,
  outputs: structProto.Struct | undefined,
): State {
  return { id, inputs: fromStruct(inputs), outputs: fromStruct(outputs) };
}

function fromStruct(struct: structProto.Struct | undefined): Properties {
  return (struct?.toJavaScript() ?? {}) as Properties;
}

function toStruct(properties: Properties): structProto.Struct {
  return structProto.Struct.fromJavaScript(
    properties as Parameters<typeof structProto.Struct.fromJavaScript>[0],
  );
}

function withProperties<R extends Response>(response: R, properties: Properties): R {
  response.setProperties(toStruct(properties));
  return response;
}

function renderDiff(change: Change): proto.DiffResponse {
  const replace = change.replace ?? [];
  const update = change.update ?? [];
  const response = new proto.DiffResponse();
  const none = replace.length + update.length === 0;
  response.setChanges(
    none ? proto.DiffResponse.DiffChanges.DIFF_NONE : proto.DiffResponse.DiffChanges.DIFF_SOME,
  );
  response.setReplacesList([...replace]);
  response.setDiffsList([...new Set([...replace, ...update])]);
  response.setDeletebeforereplace(replace.length > 0 && (change.deleteBeforeReplace ?? false));
  return response;
}

function unary<Q, R>(handler: (request: Q) => R | Promise<R>): grpc.handleUnaryCall<Q, R> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handler(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(renderError(error)),
      );
  };
}

function renderError(error: unknown): Partial<grpc.StatusObject> {
  const message = error instanceof Error ? error.message : String(error);
  const rendered = { code: grpc.status.UNKNOWN, details: message, metadata: new grpc.Metadata() };
  if (error instanceof PartialFailure) {
    const detail = new proto.ErrorResourceInitFailed();
    detail.setId(error.id);
    detail.setProperties(toStruct(error.outputs));
    detail.setReasonsList([message]);
    const any = new anyProto.Any();
    any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new statusProto.Status();
    status.setCode(grpc.status.UNKNOWN);
    status.setMessage(message);
    status.addDetails(any);
    rendered.metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return rendered;
}
