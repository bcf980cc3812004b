/** Pulumi's state as tests look at it. */

export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly parent?: string;
  readonly custom?: boolean;
  readonly protect?: boolean;
  readonly dependencies?: readonly string[];
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export function resourcesOf(state: unknown): readonly StateResource[] {
  return (state as { resources?: readonly StateResource[] | null }).resources ?? [];
}

export interface DumpedResource {
  readonly name: string;
  readonly type: string;
  readonly parent: string;
  readonly protect: boolean;
  readonly dependsOn: readonly string[];
  readonly inputs: unknown;
}

const secretMark = "4dabf18193072939515e22adb298388d";

/** Types, names, parents, dependencies and inputs; secrets and what differs from world to world are masked. */
export function dump(state: unknown): DumpedResource[] {
  const resources = resourcesOf(state);
  return resources
    .map(({ urn, type, parent = "", protect = false, dependencies = [], inputs = {} }) => ({
      name: nameOf(urn),
      type,
      parent: nameOf(parent),
      protect,
      dependsOn: dependencies.map(nameOf).toSorted(),
      inputs: mask(inputs),
    }))
    .toSorted((a, b) => compare(`${a.type} ${a.name}`, `${b.type} ${b.name}`) || compare(show(a), show(b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function show(resource: DumpedResource): string {
  return JSON.stringify(resource.inputs);
}

function mask(value: unknown, key = ""): unknown {
  if (typeof value === "string") return maskText(value, key);
  if (Array.isArray(value)) {
    const masked = value.map((each) => mask(each, key));
    // In the order of what is masked now.
    return key === "authorizedKeys" || key === "sshKeys" ? masked.toSorted() : masked;
  }
  if (typeof value !== "object" || value === null) return value;
  if (secretMark in value) return "[secret]";
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== "__defaults")
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [maskHashes(name), mask(each, name)]),
  );
}

/** Of the world: ports, addresses and ids that clouds hand out, keys, marks, and the hashes of what holds them. */
function maskText(text: string, key: string): string {
  if (key === "instanceId") return /^\d+$/.test(text) ? "[id]" : text;
  if (key === "revision") return "[revision]";
  if (/^[0-9a-f-]{36}$/.test(text)) return "[uuid]";
  return maskHashes(text)
    .replaceAll(/127\.0\.0\.1:\d+/g, "[world]")
    .replaceAll(/203\.0\.113\.\d+/g, "[address]")
    .replaceAll(/ssh-ed25519 [A-Za-z0-9+/]+/g, "[key]")
    .replaceAll(/([0-9a-f]{2}:){15}[0-9a-f]{2}/g, "[fingerprint]")
    .replaceAll(/^[0-9a-f]{12}(-[0-9a-f]{8})?$/g, "[revision]")
    .replaceAll(/^\d{1,12}$/g, "[number]");
}

function maskHashes(text: string): string {
  return text
    .replaceAll(/((?:large|medium|small|microvm|prod|runners|cache02)-)[0-9a-f]{6}\b/g, "$1[hash]")
    .replaceAll(/(flotilla-prod-)[0-9a-f]{8}\b/g, "$1[hash]");
}

function nameOf(urn: string): string {
  return maskHashes(urn.slice(urn.lastIndexOf("::") + 2));
}
