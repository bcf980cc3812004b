/** Lists of inputs in the type that an API wants; absent ones are empty. */
import type { Properties, Value } from "../../provider/protocol.ts";

export function items(value: Value | undefined): readonly Value[] {
  return Array.isArray(value) ? value : [];
}

export function texts(value: Value | undefined): string[] {
  return items(value).map(String);
}

export function numbers(value: Value | undefined): number[] {
  return items(value).map(Number);
}

export function objects(value: Value | undefined): Properties[] {
  return items(value).map((item) => item as Properties);
}
