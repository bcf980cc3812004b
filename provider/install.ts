/** Puts NixOS on a machine, once per `instanceId`; nothing but a new one makes it run again. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pLimit from "p-limit";
import { z } from "zod";
import type { Identity, Kind } from "../fleet/model.ts";
import { readProperties } from "./inputs.ts";
import { readFacts } from "./machine-facts.ts";
import { adoptFaults, installFaults } from "./preflight.ts";
import { lastWords, run } from "./process.ts";
import { type Context, hasUnknown, type Properties, type ResourceType } from "./protocol.ts";
import type { Services } from "./services.ts";

const inputsSchema = z.object({
  host: z.string(),
  /** Of the machine: the cloud's id, or the operator's installId. */
  instanceId: z.string(),
  address: z.string(),
  sshPort: z.number(),
  /** Shown before the install; equal to `hostKey` where nothing is installed. */
  bootHostKey: z.string(),
  hostKey: z.string(),
  /** Absent on adopted machines, which keep theirs. */
  hostPrivateKey: z.string().optional(),
  adopt: z.boolean(),
  kind: z.custom<Kind>((value) => typeof value === "object"),
  identity: z.custom<Identity>((value) => typeof value === "object"),
});
type InstallInputs = z.output<typeof inputsSchema>;

const hardwareSchema = z.object({
  root: z.object({ device: z.string(), fsType: z.string() }),
  firmware: z.string(),
  links: z.array(z.string()),
});

/** nixos-anywhere tries an unreachable machine for ever. */
const installSeconds = 3600;

export function installType(services: () => Services): ResourceType {
  let limit: ReturnType<typeof pLimit> | undefined;
  return {
    diff: (old, news) =>
      old.inputs.instanceId === news.instanceId && !hasUnknown(news.instanceId)
        ? {}
        : { replace: ["instanceId"], deleteBeforeReplace: true },
    create: async (properties, context) => {
      limit ??= pLimit(services().settings.parallel);
      const inputs = readProperties(inputsSchema, properties);
      await limit(() =>
        inputs.adopt ? adopt(inputs, services(), context) : install(inputs, services(), context),
      );
      return { id: inputs.instanceId, outputs: { installed: inputs.instanceId } };
    },
    preview: (news): Properties =>
      hasUnknown(news.instanceId) ? {} : { installed: news.instanceId ?? null },
  };
}

async function install(inputs: InstallInputs, services: Services, context: Context): Promise<void> {
  const { host, kind } = inputs;
  const { bootSeconds } = services.settings;
  connect(inputs, services);
  context.progress("waiting for the machine");
  const ask = { signal: context.signal, device: kind.disk?.device };
  const facts = await readFacts(services.ssh, host, { ...ask, retrySeconds: bootSeconds });
  if (facts.installId === inputs.instanceId && facts.kindRevision !== "") {
    context.info(`${host} bears the mark of this install already; nothing is wiped`);
    return;
  }
  refuse(host, "install on", installFaults(facts, kind));

  const built = await services.builds.ensure(kind, context.progress);
  if (built.diskoScript === undefined)
    throw new Error(`kind ${kind.name} has no disk layout to install ${host} with`);
  const extraFiles = writeExtraFiles(inputs);
  try {
    const result = await run(
      "nixos-anywhere",
      [
        "--target-host",
        `root@${host}`,
        "--store-paths",
        built.diskoScript,
        built.toplevel,
        "--extra-files",
        extraFiles,
        "--phases",
        "kexec,disko,install,reboot",
      ],
      {
        env: services.ssh.env,
        signal: context.signal,
        timeoutSeconds: installSeconds,
        onLine: context.progress,
      },
    );
    if (result.code !== 0)
      throw new Error(`nixos-anywhere failed on ${host} (exit ${result.code})${lastWords(result.tail)}`);
  } finally {
    rmSync(extraFiles, { recursive: true, force: true });
  }

  services.ssh.connect({
    host,
    address: inputs.address,
    sshPort: inputs.sshPort,
    hostKeys: [inputs.hostKey],
  });
  context.progress("waiting for the installed system");
  const after = await readFacts(services.ssh, host, { ...ask, retrySeconds: bootSeconds });
  if (after.installId !== inputs.instanceId || after.kindRevision !== kind.revision)
    throw new Error(
      `${host} answers after its install, but runs revision ${after.kindRevision || "none"} instead of ${kind.revision}; look at its console`,
    );
}

/** Installs nothing: compares what the configuration would boot from with what the machine boots from. */
async function adopt(inputs: InstallInputs, services: Services, context: Context): Promise<void> {
  const { host, kind } = inputs;
  connect(inputs, services);
  const { toplevel } = await services.builds.ensure(kind, context.progress);
  const configured = hardwareSchema.parse(
    JSON.parse(await services.builds.readStoreFile(`${toplevel}/flotilla-hardware.json`)),
  );
  const facts = await readFacts(services.ssh, host, {
    signal: context.signal,
    device: configured.root.device,
    retrySeconds: 60,
  });
  refuse(host, "adopt", adoptFaults(facts, kind, configured));
}

function connect(inputs: InstallInputs, services: Services): void {
  const { host, address, sshPort, bootHostKey, hostKey } = inputs;
  services.ssh.connect({ host, address, sshPort, hostKeys: [...new Set([bootHostKey, hostKey])] });
}

function refuse(host: string, what: string, faults: readonly string[]): void {
  if (faults.length > 0)
    throw new Error(
      `refused to ${what} ${host}; nothing was changed on it:\n${faults.map((each) => `    ${each}`).join("\n")}`,
    );
}

/** What the installed system needs to let us in: the host's key, its identity, and the mark of this install. */
function writeExtraFiles(inputs: InstallInputs): string {
  const root = mkdtempSync(join(tmpdir(), "flotilla-install-"));
  const ssh = join(root, "etc", "ssh");
  const flotilla = join(root, "etc", "flotilla");
  for (const directory of [ssh, flotilla]) mkdirSync(directory, { recursive: true, mode: 0o755 });
  writeFileSync(join(ssh, "ssh_host_ed25519_key"), inputs.hostPrivateKey ?? "", { mode: 0o600 });
  writeFileSync(join(ssh, "ssh_host_ed25519_key.pub"), `${inputs.hostKey}\n`);
  writeFileSync(join(flotilla, "install-id"), inputs.instanceId);
  writeFileSync(join(flotilla, "identity.json"), JSON.stringify(inputs.identity), { mode: 0o444 });
  // Whatever our umask: these become directories of the installed system.
  for (const directory of [root, join(root, "etc"), ssh, flotilla]) chmodSync(directory, 0o755);
  return root;
}
