/** A real Vault (or OpenBao) for tests and rehearsals. Vault is BUSL-licensed: it is made for this user, never shipped. */
import { ensureTool, type Tool } from "./tool.ts";

const version = "1.21.0";

export const vault: Tool = {
  name: "vault",
  version,
  purpose: "the rehearsal's Vault server",
  onPath: [
    { name: "vault", versionArgs: ["version"], atLeast: "1.15.0" },
    { name: "bao", versionArgs: ["version"], atLeast: "2.3.0" },
  ],
  release: ({ os, arch }) => ({
    archive: `https://releases.hashicorp.com/vault/${version}/vault_${version}_${os}_${arch}.zip`,
    checksums: `https://releases.hashicorp.com/vault/${version}/vault_${version}_SHA256SUMS`,
  }),
  build: {
    module: "vault",
    package: "github.com/hashicorp/vault",
    flags: ["-tags", "minimal", "-ldflags", "-s -w"],
  },
  buildMinutes: 9,
  install:
    "Vault 1.15 or newer (https://developer.hashicorp.com/vault/install) or OpenBao 2.3 or newer (https://openbao.org)",
};

export function ensureVault(): Promise<string> {
  return ensureTool(vault);
}
