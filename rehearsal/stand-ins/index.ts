/** The shims that put the stand-ins for nix, nixos-anywhere and colmena, and the rehearsal's ssh, on a PATH. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAMS = ["nix", "nixos-anywhere", "colmena"] as const;

/** Writes `<world>/bin`, which goes first on the PATH of a rehearsal, and returns it. */
export function writeShims(worldDir: string, nodePath: string): string {
  const bin = join(worldDir, "bin");
  mkdirSync(bin, { recursive: true });
  for (const program of PROGRAMS) {
    const script = fileURLToPath(new URL(`${program}.ts`, import.meta.url));
    write(
      join(bin, program),
      `#!/bin/sh\nexec ${quote(nodePath)} ${quote(script)} ${quote(worldDir)} "$@"\n`,
    );
  }
  const proxy = join(worldDir, "ssh-proxy");
  write(proxy, sshProxy(join(worldDir, "addresses.json")));
  write(join(bin, "ssh"), ssh(bin, proxy));
  return bin;
}

/** The real ssh is the next one on PATH: another wrapper may stand before this one. */
const ssh = (bin: string, proxy: string) => `#!/bin/sh
# ssh of a rehearsal: the real one, led to the simulated hosts.
rest=":$PATH:"
case $rest in
  *:${quote(bin)}:*) rest=\${rest#*:${quote(bin)}:} ;;
  *) rest=/usr/bin:/bin ;;
esac
IFS=:
for dir in $rest; do
  if [ -n "$dir" ] && [ "$dir" != ${quote(bin)} ] && [ -x "$dir/ssh" ]; then
    unset IFS
    exec "$dir/ssh" -o ${quote(`ProxyCommand=${quote(proxy)} %h %p`)} "$@"
  fi
done
echo "ssh: not found on PATH after ${bin}" >&2
exit 127
`;

/**
 * Connects to the loopback port of an address. An address that nobody has does not answer, for as long as a real
 * connection would be tried; the client's ConnectTimeout is shorter.
 */
const sshProxy = (addresses: string) => `#!${bash()}
host=$1 sshport=$2 port=
while read -r name value; do
  if [ "$name" = "\\"$host\\":" ]; then port=\${value%,}; break; fi
done < ${quote(addresses)}
if [ -z "$port" ]; then
  timeout 127 cat > /dev/null
  echo "ssh: connect to host $host port $sshport: Connection timed out" >&2
  exit 255
fi
refused() {
  echo "ssh: connect to host $host port $sshport: Connection refused" >&2
  exit 255
}
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || refused
IFS= read -r -u 3 banner || refused
printf '%s\\n' "$banner"
exec 4<&0
cat <&3 2>/dev/null & from=$!
cat <&4 >&3 2>/dev/null & to=$!
exec 1>&- 3>&- 4<&-
trap 'kill $from $to 2>/dev/null' EXIT
trap exit HUP TERM
wait -n
`;

function bash(): string {
  const found = (process.env.PATH ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "bash"))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw new Error("A rehearsal needs bash on PATH: its ssh reaches the simulated hosts through it.");
  return found;
}

function write(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
