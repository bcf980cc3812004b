/** Holds an exchange against a published API description (OpenAPI 3 or Swagger 2): an unknown route, status, field or type is a fault. */
import { readFileSync } from "node:fs";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly nullable?: boolean;
}
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}
interface Answer extends Content {
  readonly $ref?: string;
  readonly schema?: Schema;
}
interface Parameter {
  readonly $ref?: string;
  readonly name?: string;
  readonly in?: string;
}
interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content & { readonly required?: boolean };
  readonly responses: Readonly<Record<string, Answer>>;
}
export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Exchange {
  readonly method: string;
  /** As the description spells it, with `{placeholders}`. */
  readonly path: string;
  readonly query?: readonly string[];
  readonly requestBody?: unknown;
  readonly status: number;
  readonly body: unknown;
}

export function readDescription(file: URL): Description {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** Every way in which the exchange departs from the description. */
export function departures(description: Description, exchange: Exchange): readonly string[] {
  const { method, path, status, body } = exchange;
  const operation = description.paths[path]?.[method.toLowerCase()];
  if (operation === undefined) return [`${method} ${path} is not described`];
  const found: string[] = [];

  const parameters = (operation.parameters ?? []).map((one) => resolve(description, one).name);
  for (const name of exchange.query ?? []) {
    if (!parameters.includes(name)) found.push(`query parameter ${name} is not described`);
  }
  const sent = operation.requestBody?.content?.["application/json"]?.schema;
  const optional = exchange.requestBody === undefined && operation.requestBody?.required !== true;
  if (sent !== undefined && !optional) compare(description, sent, exchange.requestBody, "request", found);

  const described = operation.responses[String(status)];
  if (described === undefined) return [...found, `status ${status} is not described`];
  const answer = resolve(description, described);
  const schema = answer.content?.["application/json"]?.schema ?? answer.schema;
  if (schema !== undefined) compare(description, schema, body, "answer", found);
  else if (status === 204 && body !== undefined) found.push("a 204 has no body");
  return found;
}

function compare(
  description: Description,
  unresolved: Schema,
  value: unknown,
  at: string,
  found: string[],
): void {
  const schema = resolve(description, unresolved);
  if (value === null && schema.nullable) return;
  if (schema.type !== undefined && typeOf(value) !== schema.type) {
    found.push(`${at} is ${typeOf(value)}, described as ${schema.type}`);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    found.push(`${at} is none of ${schema.enum}`);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return;
    for (const [i, item] of value.entries()) compare(description, items, item, `${at}[${i}]`, found);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const key of schema.required ?? []) if (!(key in value)) found.push(`${at}.${key} is missing`);
  for (const [key, part] of Object.entries(value)) {
    const described = schema.properties?.[key];
    if (described !== undefined) compare(description, described, part, `${at}.${key}`, found);
    else if (!schema.additionalProperties) found.push(`${at}.${key} is not described`);
  }
}

function resolve<T extends { readonly $ref?: string }>(description: Description, part: T): T {
  if (part.$ref === undefined) return part;
  const keys = part.$ref.replace(/^#\//, "").split("/");
  const target = keys.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    description,
  );
  if (target === undefined) throw new Error(`${part.$ref} leads nowhere`);
  return resolve(description, target as T);
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  if (Number.isInteger(value)) return "integer";
  return typeof value;
}
