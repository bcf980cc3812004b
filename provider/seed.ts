/** The fleet's seed: 32 random bytes, made once, from which every host key is derived. A new one would break all of them. */
import { randomBytes } from "node:crypto";
import { type ResourceType, secret } from "./protocol.ts";

export const seedType: ResourceType = {
  diff: () => ({}),
  create: async () => ({ id: "seed", outputs: { seed: secret(randomBytes(32).toString("hex")) } }),
};
