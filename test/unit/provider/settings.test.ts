import { expect, test } from "vitest";
import { parseSettings } from "../../../provider/settings.ts";

const settings = {
  fleet: "flotilla-prod",
  forges: { code: { kind: "forgejo", url: "https://code.example.org" } },
  credentials: { code: { token: "s3cret" } },
  vault: {
    address: "https://vault.example.org:8200",
    mount: "secret",
    approleMount: "approle",
    auth: { jwt: { role: "flotilla", token: "s3cret" } },
  },
  parallel: 10,
  drainSeconds: 1800,
  bootSeconds: 300,
};
const parse = (change: object) => () =>
  parseSettings({ settings: JSON.stringify({ ...settings, ...change }) });

test("one JSON document holds all that the provider is told", () => {
  expect(parse({})()).toEqual({
    ...settings,
    vault: { ...settings.vault, auth: { jwt: { mount: "jwt", role: "flotilla", token: "s3cret" } } },
  });
});

test("what does not belong there is named by its path, never by its value", () => {
  expect(
    parse({ parallel: 0, credentials: { code: { tocken: "s3cret" } }, vault: { auth: { token: "" } } }),
  ).toThrow(
    /^the provider flotilla is configured by components\/fleet\.ts; not valid here: credentials\.code, vault\.address, vault\.mount, vault\.approleMount, vault\.auth.*, parallel$/,
  );
});

test("what is no JSON is not repeated", () => {
  expect(() => parseSettings({ settings: "s3cret" })).toThrow(/not valid here: settings$/);
});

test("a provider without configuration says where it comes from", () => {
  expect(() => parseSettings({})).toThrow(/components\/fleet\.ts; not valid here: settings$/);
});
