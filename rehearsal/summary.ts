/** What stands at the end of a rehearsal: a table of hosts and one of runners, from Pulumi's state and the forges. */
import { z } from "zod";
import type { Fleet } from "../fleet/model.ts";
import type { ForgeServer } from "./forges/runners.ts";

const resource = z.object({
  urn: z.string(),
  type: z.string(),
  parent: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
  outputs: z.record(z.string(), z.unknown()).default({}),
  initErrors: z.array(z.string()).nullish(),
});
const deployment = z.object({ resources: z.array(resource).nullish() });
type Resource = z.output<typeof resource>;

const componentPrefix = "flotilla:hosts:";
const scopeSchema = z.object({
  kind: z.string(),
  owner: z.string().optional(),
  name: z.string().optional(),
});

export interface HostRow {
  readonly host: string;
  readonly provider: string;
  readonly address: string;
  readonly tags: string;
  readonly kind: string;
  readonly revision: string;
  /** `converged`, or how far it came. */
  readonly state: string;
}

export interface RunnerRow {
  readonly runner: string;
  readonly forge: string;
  readonly scope: string;
  readonly host: string;
  readonly online: string;
}

/** @param fleet what the program meant; absent after a destroy. */
export function hostRows(state: unknown, fleet: Fleet | undefined): HostRow[] {
  const resources = deployment.parse(state).resources ?? [];
  const order = fleet?.hosts.map(({ name }) => name) ?? [];
  const place = (component: Resource) => {
    const at = order.indexOf(nameOf(component));
    return at < 0 ? order.length : at;
  };
  return resources
    .filter(({ type }) => type.startsWith(componentPrefix))
    .toSorted((a, b) => place(a) - place(b))
    .map((component): HostRow => {
      const children = resources.filter(({ parent }) => parent === component.urn);
      const of = (suffix: string) => children.find(({ type }) => type.endsWith(suffix));
      const [install, converge] = [of(":Install"), of(":Converge")];
      const known = converge ?? install;
      const kind = z
        .object({ name: z.string(), tags: z.array(z.string()) })
        .safeParse(known?.inputs.kind).data;
      return {
        host: nameOf(component),
        provider: component.type.slice(componentPrefix.length).replace("Host", "").toLowerCase(),
        address: text(
          known?.inputs.address ?? of(":Server")?.outputs.ipv4Address ?? of(":Droplet")?.outputs.ipv4Address,
        ),
        tags: kind?.tags.join(" ") ?? "",
        kind: kind?.name ?? "",
        revision: text(converge?.outputs.revision),
        state:
          fleet === undefined || order.includes(nameOf(component))
            ? stateOf(
                install,
                converge,
                fleet?.hosts.find(({ name }) => name === nameOf(component))?.revision,
              )
            : "to be removed",
      };
    });
}

export function runnerRows(state: unknown, forges: ReadonlyMap<string, ForgeServer>): RunnerRow[] {
  const resources = deployment.parse(state).resources ?? [];
  return resources
    .filter(({ type }) => type === "flotilla:index:Registration")
    .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)))
    .map(({ inputs }): RunnerRow => {
      const forge = text(inputs.forge);
      const runner = text(inputs.runner);
      const online =
        forges
          .get(forge)
          ?.runners()
          .some((each) => each.name === runner && each.online) ?? false;
      return {
        runner,
        forge,
        scope: scopeText(inputs.scope),
        host: text(inputs.host),
        online: online ? "yes" : "no",
      };
    });
}

/** Columns as wide as their widest cell. */
export function renderTable(rows: readonly object[]): string {
  const cells = rows.map((row) => Object.values(row).map(String));
  const [first] = rows;
  if (first === undefined) return "";
  const lines = [Object.keys(first), ...cells];
  const widths = Object.keys(first).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function stateOf(
  install: Resource | undefined,
  converge: Resource | undefined,
  meant: string | undefined,
): string {
  if (install === undefined) return "not installed";
  if (converge === undefined) return "installed, not converged";
  if ((converge.initErrors?.length ?? 0) > 0) return "not converged";
  const wanted = meant ?? converge.inputs.revision;
  return converge.outputs.revision === wanted ? "converged" : "at an older revision";
}

function scopeText(scope: unknown): string {
  const { kind, owner, name } = scopeSchema.parse(scope);
  return [kind, [owner, name].filter((part) => part !== undefined).join("/")]
    .filter((part) => part !== "")
    .join(" ");
}

function nameOf({ urn }: Resource): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
