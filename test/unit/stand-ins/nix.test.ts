import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, bench } from "../hosts/world.ts";
import { kind, writeFlake } from "./flake.ts";

let b: Bench;
beforeEach(async () => {
  b = await bench();
  writeFlake(b.file("flake"), [kind("large")]);
});
afterEach(() => b.close());

const attribute = (name: string, what = "toplevel") =>
  `path:${b.file("flake")}#nixosConfigurations."${name}".config.system.build.${what}`;
const build = (...installables: readonly string[]) =>
  b.run("nix", ["build", "--no-link", "--json", ...installables]);
const evaluations = () =>
  readFileSync(join(b.world.dir, "calls.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line.includes('"evaluate"')).length;

test("builds several attributes of a kind with one evaluation, to the same paths each time", async () => {
  const first = await build(attribute("large"), attribute("large", "diskoScript"));
  expect(evaluations()).toBe(1);
  const [toplevel, disko] = JSON.parse(first.stdout) as { drvPath: string; outputs: { out: string } }[];
  expect(toplevel?.outputs.out).toMatch(/^\/nix\/store\/[0-9a-z]{32}-nixos-system-large$/);
  expect(disko?.drvPath).toMatch(/^\/nix\/store\/[0-9a-z]{32}-disko\.drv$/);
  const local = join(b.world.dir, "store", basename(toplevel?.outputs.out ?? ""));
  expect(readFileSync(join(local, "flotilla-revision"), "utf8")).toBe("large-revision");
  expect((await build(attribute("large"), attribute("large", "diskoScript"))).stdout).toBe(first.stdout);
  expect((await b.run("nix", ["path-info", toplevel?.outputs.out ?? ""])).code).toBe(0);
});

test("a kind of other content has another path", async () => {
  const before = (await build(attribute("large"))).stdout;
  writeFlake(b.file("flake"), [kind("large", { revision: "other" })]);
  expect((await build(attribute("large"))).stdout).not.toBe(before);
});

test.each([
  ["a kind that is not there", () => {}, "small", "does not provide attribute"],
  [
    "JSON that does not parse",
    () => writeFileSync(b.file("flake/kinds/large.json"), "{"),
    "large",
    "parse error",
  ],
  [
    "a kind without a revision",
    () => writeFileSync(b.file("flake/kinds/large.json"), '{"name":"large"}'),
    "large",
    "flotilla.kind.revision",
  ],
  [
    "a tag without a profile",
    () => rmSync(b.file("flake/profiles/runners.nix")),
    "large",
    "the tag 'runners' has no profile",
  ],
  [
    "a build that fails",
    () => b.world.save("faults", { nix: { kind: "build-fails", times: 1 } }),
    "large",
    "failed with exit code 1",
  ],
] as const)("%s fails with exit code 1 and nix's shape of error", async (_, spoil, name, message) => {
  spoil();
  const { code, stdout, stderr } = await build(attribute(name));
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^error:/m);
  expect(stderr).toContain(message);
});

test("the system of an adopted host says what its hardware file configures", async () => {
  const { disk: _, ...adopted } = kind("cache", { host: "cache" });
  writeFlake(b.file("flake"), [adopted]);
  mkdirSync(b.file("flake/hosts"));
  writeFileSync(
    b.file("flake/hosts/cache.nix"),
    `{ fileSystems."/" = { device = "/dev/nvme0n1p2"; fsType = "ext4"; };
       boot.loader.systemd-boot.enable = true;
       systemd.network.networks."10-uplink".matchConfig.Name = "enp1s0"; }`,
  );
  const [built] = JSON.parse((await build(attribute("cache"))).stdout) as { outputs: { out: string } }[];
  const { stdout } = await b.run("nix", ["store", "cat", `${built?.outputs.out}/flotilla-hardware.json`]);
  expect(JSON.parse(stdout)).toEqual({
    root: { device: "/dev/nvme0n1p2", fsType: "ext4" },
    firmware: "efi",
    links: ["enp1s0"],
  });
});

test("answers what is not there with exit code 1, and says that it is a stand-in", async () => {
  expect(await b.run("nix", ["path-info", "/nix/store/none"])).toMatchObject({
    code: 1,
    stderr: "nix: a stand-in of the rehearsal\nerror: path '/nix/store/none' is not valid\n",
  });
  expect((await b.run("nix", ["profile", "list"])).stderr).toContain(
    "error: 'profile' is not a recognised command",
  );
  expect((await b.run("nix", ["build", "--frobnicate"])).stderr).toContain(
    "error: unrecognised flag '--frobnicate'",
  );
  expect((await b.run("nix", ["--version"])).stdout).toMatch(/^nix \(Nix\) 2\./);
});

test("copies to a host that has Nix, and fails on one that has not", async () => {
  const ubuntu = await b.boot(1);
  const nixos = await b.hosts.bootExisting({
    ...{ id: "cache", name: "cache", address: "198.51.100.9", system: "nixos", sshKeys: [b.publicKey] },
  });
  const config = b.sshConfig([ubuntu, nixos]);
  const [built] = JSON.parse((await build(attribute("large"))).stdout) as { outputs: { out: string } }[];
  const path = built?.outputs.out ?? "";
  const copy = (host: string) =>
    b.run("nix", ["copy", "--to", `ssh://${host}`, path], { env: { NIX_SSHOPTS: `-F ${config}` } });
  expect((await copy("cache")).code).toBe(0);
  expect(existsSync(join(nixos.root, path, "bin/switch-to-configuration"))).toBe(true);
  expect(await copy("builder-1")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("error: failed to start SSH connection"),
  });
});
