/** What a malformed configuration still says, so that its faults are found all at once. */
import { configSchema, type FleetConfig } from "./schema.ts";

/** Names in the configuration, malformed entries included: what is malformed is not missing. */
export interface Written {
  readonly forges: ReadonlySet<string>;
  readonly credentials: ReadonlySet<string>;
  readonly providers: ReadonlySet<unknown>;
  /** Of all groups, those scaled to 0 too. */
  readonly tags: ReadonlySet<string>;
  /** Of groups that are too malformed to make hosts. */
  readonly lostTags: ReadonlySet<string>;
}

/** A malformed configuration without what is malformed, so that faults across its parts are found as well. */
export function salvage(values: Readonly<Record<string, unknown>>): FleetConfig {
  const unused = { address: "https://vault.invalid", auth: { token: "none" } };
  for (let rest: object = values; ; ) {
    const parsed = configSchema.safeParse({ hosts: {}, ...rest, vault: unused });
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const path = issue?.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue?.path;
    rest = without(rest, path ?? []) ?? {};
  }
}

/** The value without what the path names; without the whole that lacks it when it is not there. */
function without(value: unknown, [key, ...rest]: readonly PropertyKey[]): object | undefined {
  if (key === undefined || typeof value !== "object" || value === null || !(key in value)) return undefined;
  const entries = Object.entries(value).flatMap(([name, each]): [string, unknown][] => {
    if (name !== String(key)) return [[name, each]];
    const left = without(each, rest);
    return left === undefined ? [] : [[name, left]];
  });
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries);
}

/** What the operator wrote, malformed or not: only what is in no part of it may be called missing. */
export function writtenIn(values: Readonly<Record<string, unknown>>, config: FleetConfig): Written {
  const groups = Object.entries(asMap(values.hosts)).map(([name, group]) => ({ name, entry: asMap(group) }));
  const tagsOf = ({ entry: { tags } }: (typeof groups)[number]): string[] =>
    Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
  return {
    forges: new Set(Object.keys(asMap(values.forges))),
    credentials: new Set(Object.keys(asMap(values.credentials))),
    providers: new Set(groups.map(({ entry }) => entry.provider)),
    tags: new Set(groups.flatMap(tagsOf)),
    lostTags: new Set(groups.filter(({ name }) => !(name in config.hosts)).flatMap(tagsOf)),
  };
}

function asMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
