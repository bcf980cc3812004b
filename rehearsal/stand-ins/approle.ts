/**
 * Stand-in for flotilla-approle, run on a simulated host: unwraps the secret-id at Vault and keeps it with the role-id.
 * Exit 3 when the wrapping token was used before or is gone.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";

interface Delivery {
  readonly address: string;
  readonly namespace?: string;
  readonly wrappingToken: string;
  readonly roleId: string;
}

const DIRECTORY = "/var/lib/flotilla/approle";

const delivery = JSON.parse(readFileSync(0, "utf8")) as Delivery;
const response = await fetch(`${delivery.address.replace(/\/$/, "")}/v1/sys/wrapping/unwrap`, {
  method: "POST",
  headers: {
    "x-vault-token": delivery.wrappingToken,
    ...(delivery.namespace === undefined ? {} : { "x-vault-namespace": delivery.namespace }),
  },
}).catch(() => fail(1, `flotilla-approle: Vault does not answer at ${delivery.address}`));
if (response.status === 400 || response.status === 403)
  fail(3, "flotilla-approle: the wrapping token was used before or has expired");
if (!response.ok) fail(1, `flotilla-approle: Vault answered ${response.status}`);
const { data } = (await response.json()) as { data: { secret_id: string } };

mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
keep("role-id", delivery.roleId);
keep("secret-id", data.secret_id);

/** Never half a credential: vault-agent may read at any time. */
function keep(name: string, text: string): void {
  writeFileSync(`${DIRECTORY}/.${name}`, text, { mode: 0o400 });
  renameSync(`${DIRECTORY}/.${name}`, `${DIRECTORY}/${name}`);
}

function fail(code: number, message: string): never {
  console.error(message);
  process.exit(code);
}
