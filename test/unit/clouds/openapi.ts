/** Holds a cloud's answers against its published API description (OpenAPI 3). */
import { existsSync, readFileSync } from "node:fs";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly Json[];
  readonly pattern?: string;
  readonly format?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}
interface Answer {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}
interface Description {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Record<string, Answer> }>>>
  >;
}

const specs = new URL("../../../../shared/specs/", import.meta.url);

/** Finds what an answer lacks or has wrong; undefined when the description is not on this machine. */
export function openDescription(
  name: string,
): ((method: string, path: string, status: number, body: unknown) => string[]) | undefined {
  const file = new URL(name, specs);
  if (!existsSync(file)) {
    console.warn(`answers are not held against ${name}: it is not at ${file.pathname}`);
    return undefined;
  }
  const description = JSON.parse(readFileSync(file, "utf8")) as Description;

  const resolve = <T extends { readonly $ref?: string }>(node: T): T => {
    if (node.$ref === undefined) return node;
    const target = node.$ref
      .slice(2)
      .split("/")
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], description);
    return resolve(target as T);
  };

  /** `allOf` with a part that only says `nullable` is how DigitalOcean lets something be null. */
  const allowsNull = (schema: Schema): boolean => {
    const s = resolve(schema);
    const parts = [...(s.allOf ?? []), ...(s.anyOf ?? []), ...(s.oneOf ?? [])];
    return s.nullable === true || parts.some(allowsNull);
  };

  const check = (schema: Schema, value: Json | undefined, at: string): string[] => {
    const s = resolve(schema);
    if (value === undefined) return [`${at} is missing`];
    if (value === null) return allowsNull(s) ? [] : [`${at} is null`];
    const choices = s.oneOf ?? s.anyOf;
    const faults = (s.allOf ?? []).flatMap((part) => check(part, value, at));
    if (choices?.every((choice) => check(choice, value, at).length > 0))
      faults.push(
        `${at} matches none of ${choices.length} shapes: ${choices.flatMap((c) => check(c, value, at))[0]}`,
      );
    if (s.type !== undefined && !hasType(s.type, value))
      return [...faults, `${at} is no ${s.type}: ${value}`];
    if (s.enum !== undefined && !s.enum.includes(value))
      faults.push(`${at} is none of ${s.enum.join(", ")}: ${value}`);
    if (typeof value === "string") {
      if (s.pattern !== undefined && !new RegExp(s.pattern).test(value))
        faults.push(`${at} does not match ${s.pattern}`);
      if (s.format === "date-time" && Number.isNaN(Date.parse(value)))
        faults.push(`${at} is no date: ${value}`);
      if (s.format === "ipv4" && !/^(\d+\.){3}\d+$/.test(value))
        faults.push(`${at} is no IPv4 address: ${value}`);
    }
    if (isList(value)) {
      const { items } = s;
      return items === undefined
        ? faults
        : [...faults, ...value.flatMap((item, index) => check(items, item, `${at}[${index}]`))];
    }
    if (typeof value === "object") {
      const has = value as { readonly [key: string]: Json };
      for (const key of s.required ?? []) if (!(key in has)) faults.push(`${at}.${key} is missing`);
      for (const [key, part] of Object.entries(s.properties ?? {}))
        if (key in has) faults.push(...check(part, has[key], `${at}.${key}`));
    }
    return faults;
  };

  return (method, path, status, body) => {
    const parts = path.split("/");
    const fitting = Object.entries(description.paths)
      .map(([template, operations]) => ({
        template: template.split("/"),
        operation: operations[method.toLowerCase()],
      }))
      .filter(
        ({ template, operation }) =>
          operation !== undefined &&
          template.length === parts.length &&
          template.every((part, index) => part.startsWith("{") || part === parts[index]),
      )
      .toSorted((a, b) => variables(a.template) - variables(b.template));
    const operation = fitting[0]?.operation;
    if (operation === undefined) return [`${method} ${path} is not described`];
    const { responses } = operation;
    const answer =
      responses[String(status)] ?? responses[`${Math.floor(status / 100)}xx`] ?? responses.default;
    if (answer === undefined) return [`${method} ${path}: status ${status} is not described`];
    const schema = resolve(answer).content?.["application/json"]?.schema;
    if (schema === undefined) return body === undefined ? [] : [`${method} ${path}: ${status} has no body`];
    return check(schema, body as Json, `${method} ${path} ${status}`);
  };
}

function variables(template: readonly string[]): number {
  return template.filter((part) => part.startsWith("{")).length;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function hasType(type: string, value: Json): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && !Array.isArray(value);
  return typeof value === type;
}
