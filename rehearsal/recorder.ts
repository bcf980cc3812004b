/** What an operation did, from the engine's events. */
import type { EngineEvent, OpType } from "@pulumi/pulumi/automation/index.js";

/** One resource that the engine planned to change, or did. */
export interface Step {
  readonly op: OpType;
  readonly urn: string;
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  readonly failed: boolean;
  /** Properties that differ, where the engine says. */
  readonly diffs: readonly string[];
}

export interface Diagnostic {
  readonly severity: string;
  readonly urn: string;
  readonly message: string;
}

/** Operations that change nothing. */
const quiet: ReadonlySet<OpType> = new Set<OpType>(["same", "read", "refresh"]);

export class Recorder {
  readonly diagnostics: Diagnostic[] = [];
  readonly #steps = new Map<string, Step>();
  readonly #onStep: (step: Step) => void;

  /** @param onStep each change when it is done, or has failed */
  constructor(onStep: (step: Step) => void) {
    this.#onStep = onStep;
  }

  /** Changes alone; what stays the same is left out. */
  get steps(): readonly Step[] {
    return [...this.#steps.values()];
  }

  readonly take = (event: EngineEvent): void => {
    const planned = event.resourcePreEvent?.metadata;
    if (planned !== undefined) this.#keep(planned, false);
    const done = event.resOutputsEvent?.metadata;
    if (done !== undefined) this.#finish(done, false);
    const failed = event.resOpFailedEvent?.metadata;
    if (failed !== undefined) this.#finish(failed, true);
    const said = event.diagnosticEvent;
    if (said !== undefined && (said.severity === "error" || said.severity === "warning"))
      this.diagnostics.push({
        severity: said.severity,
        urn: said.urn ?? "",
        message: said.message.replaceAll(/<\{%.*?%\}>/g, "").trim(),
      });
  };

  #finish(metadata: Metadata, failed: boolean): void {
    const step = this.#keep(metadata, failed);
    if (step !== undefined) this.#onStep(step);
  }

  #keep({ op, urn, type, diffs }: Metadata, failed: boolean): Step | undefined {
    if (quiet.has(op) && !failed) return undefined;
    const step = { op, urn, type, name: urn.slice(urn.lastIndexOf("::") + 2), failed, diffs: diffs ?? [] };
    this.#steps.set(`${op} ${urn}`, step);
    return step;
  }
}

interface Metadata {
  readonly op: OpType;
  readonly urn: string;
  readonly type: string;
  readonly diffs?: string[] | undefined;
}
