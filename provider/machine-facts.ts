/** What a machine says of itself, asked in one command. */
import { lastWords } from "./process.ts";
import type { RemoteOptions, Ssh } from "./ssh.ts";

export interface MachineFacts {
  /** `uname -m`. */
  readonly machine: string;
  readonly memoryMib: number;
  readonly kvm: boolean;
  /** What the device that was asked for resolves to, or empty when it does not exist. */
  readonly device: string;
  /** What /etc/flotilla/install-id holds, or empty. */
  readonly installId: string;
  /** Of the running system, or empty. */
  readonly kindRevision: string;
  /** SHA-256 of /etc/flotilla/identity.json, or empty. */
  readonly identityHash: string;
  /** Whether the host holds an AppRole's role-id and secret-id. */
  readonly approle: boolean;
  /** Device of the root filesystem, resolved. */
  readonly rootDevice: string;
  readonly rootFsType: string;
  /** `efi` or `bios`. */
  readonly firmware: string;
  /** ID of /etc/os-release. */
  readonly os: string;
  /** Names of network links, separated by spaces. */
  readonly links: string;
}

/** Reads the device to look for from its first argument; writes `name=value` lines. */
const script = `
say() { printf '%s=%s\\n' "$1" "$2"; }
say machine "$(uname -m)"
say memoryKib "$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
test -e /dev/kvm && say kvm yes
test -n "$1" && test -e "$1" && say device "$(readlink -f "$1")"
say installId "$(cat /etc/flotilla/install-id 2>/dev/null)"
say kindRevision "$(cat /run/current-system/flotilla-revision 2>/dev/null)"
say identityHash "$(sha256sum /etc/flotilla/identity.json 2>/dev/null | cut -d' ' -f1)"
test -s /var/lib/flotilla/approle/role-id && test -s /var/lib/flotilla/approle/secret-id && say approle yes
say rootDevice "$(readlink -f "$(findmnt -n -v -o SOURCE / 2>/dev/null)")"
say rootFsType "$(findmnt -n -o FSTYPE / 2>/dev/null)"
if test -d /sys/firmware/efi; then say firmware efi; else say firmware bios; fi
say os "$(sed -n 's/^ID=\\(.*\\)/\\1/p' /etc/os-release | tr -d '"')"
say links "$(ls /sys/class/net 2>/dev/null | tr '\\n' ' ')"
`;

export async function readFacts(
  ssh: Ssh,
  host: string,
  options: Pick<RemoteOptions, "signal"> & {
    readonly retrySeconds: number;
    readonly device?: string | undefined;
  },
): Promise<MachineFacts> {
  const device = options.device ?? "";
  const result = await ssh.remote(host, `sh -s -- '${device.replaceAll("'", "")}'`, {
    signal: options.signal,
    retrySeconds: options.retrySeconds,
    timeoutSeconds: 60,
    input: script,
  });
  if (result.code !== 0)
    throw new Error(`${host} did not say what it is (exit ${result.code})${lastWords(result.tail)}`);
  const values = new Map(
    result.stdout.split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
  );
  const text = (name: string) => values.get(name) ?? "";
  return {
    machine: text("machine"),
    memoryMib: Math.floor(Number(text("memoryKib")) / 1024),
    kvm: text("kvm") === "yes",
    device: text("device"),
    installId: text("installId"),
    kindRevision: text("kindRevision"),
    identityHash: text("identityHash"),
    approle: text("approle") === "yes",
    rootDevice: text("rootDevice"),
    rootFsType: text("rootFsType"),
    firmware: text("firmware"),
    os: text("os"),
    links: text("links"),
  };
}
