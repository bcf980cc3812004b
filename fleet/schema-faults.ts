/** What zod found, in the words of faults.ts. */
import type { z } from "zod";
import { type Fault, show } from "./faults.ts";

export function describeIssue(issue: z.core.$ZodIssue, values: unknown): Fault[] {
  const path = issue.path.map(String).join(".");
  const [first, second = "auth"] = issue.path;
  const hidden = first === "credentials" || (first === "vault" && second === "auth");
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    values,
  );
  const shown = hidden ? "the value" : show(found);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        path: [...issue.path.map(String), key].join("."),
        message: "unknown key; remove it or mend its spelling",
      }));
    case "invalid_type":
      return [
        {
          path,
          message:
            found === undefined
              ? `missing; must be ${article(issue.expected)}`
              : `${shown} is not ${article(issue.expected)}`,
        },
      ];
    case "too_small":
      return [{ path, message: `${shown} is too small; at least ${issue.minimum}` }];
    case "too_big":
      return [{ path, message: `${shown} is too big; at most ${issue.maximum}` }];
    case "invalid_value":
      return [{ path, message: `${shown} is none of ${issue.values.map(String).join(", ")}` }];
    case "invalid_union":
      if (issue.discriminator !== undefined) {
        const known = path.startsWith("forges")
          ? "github, forgejo, gitea"
          : "hetzner, digitalocean, existing";
        return [
          {
            path,
            message: found === undefined ? `missing; one of ${known}` : `${shown} is none of ${known}`,
          },
        ];
      }
      return [{ path, message: hidden ? issue.message : `${shown} ${issue.message}` }];
    case "invalid_key":
      return [{ path, message: `the name ${issue.issues[0]?.message ?? "is not valid"}` }];
    default:
      return [{ path, message: hidden ? issue.message : `${shown} ${issue.message}` }];
  }
}

const words: Readonly<Record<string, string>> = {
  int: "whole number",
  record: "map",
  object: "map",
  array: "list",
};

function article(type: string): string {
  const word = words[type] ?? type;
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}
