/** First boot: the machine shows a host key that we know already, and lets the operators in. */
import type { HostKey } from "../fleet/host-keys.ts";

/** cloud-init reads JSON as the YAML that it is. */
export function renderUserData(bootKey: HostKey, authorizedKeys: readonly string[]): string {
  const config = {
    ssh_deletekeys: true,
    ssh_genkeytypes: [],
    ssh_keys: { ed25519_private: bootKey.privateKey, ed25519_public: bootKey.publicKey },
    disable_root: false,
    ssh_pwauth: false,
    ssh_authorized_keys: authorizedKeys,
    users: [{ name: "root", lock_passwd: true, ssh_authorized_keys: authorizedKeys }],
  };
  return `#cloud-config\n${JSON.stringify(config, undefined, 1)}\n`;
}
