import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Builds } from "../../../provider/builds.ts";
import { kind } from "../stand-ins/flake.ts";
import { refusal, useDirectory } from "./fixture.ts";

const dir = useDirectory();

/** Builds whatever is asked at once, and keeps what it was asked. */
const obliging = `
echo "$*" >> calls
sep=
printf '['
for each in "$@"; do
  case $each in
    path:*) printf '%s{"drvPath":"/nix/store/%s.drv","outputs":{"out":"/nix/store/%s"}}' "$sep" "\${each##*.}" "\${each##*.}"; sep=, ;;
  esac
done
printf ']'
`;

let builds: Builds;
let abort: AbortController;
const open = (parallel = 4) => new Builds(dir.file("work"), process.env, parallel, abort.signal);
beforeEach(() => {
  abort = new AbortController();
  builds = open();
});
const silent = () => undefined;

test("a kind is built once, however many hosts ask, at the same time or later", async () => {
  dir.program("nix", obliging);
  const runners = kind("runners");
  const asked = await Promise.all([1, 2, 3].map(() => builds.ensure(runners, silent)));
  asked.push(await builds.ensure(runners, silent));
  expect(new Set(asked)).toEqual(
    new Set([
      {
        toplevel: "/nix/store/toplevel",
        drvPath: "/nix/store/toplevel.drv",
        diskoScript: "/nix/store/diskoScript",
      },
    ]),
  );
  const of = (attribute: string) =>
    `path:${builds.flakeDir}#nixosConfigurations."runners".config.system.build.${attribute}`;
  expect(dir.lines("calls")).toEqual([
    `--extra-experimental-features nix-command flakes build --no-link --json ${of("toplevel")} ${of("diskoScript")}`,
  ]);
});

test("an adopted host's kind has no disk to lay out", async () => {
  dir.program("nix", obliging);
  const { disk: _, ...adopted } = kind("cache");
  expect(await builds.ensure(adopted, silent)).toEqual({
    toplevel: "/nix/store/toplevel",
    drvPath: "/nix/store/toplevel.drv",
  });
  expect(dir.lines("calls")[0]).not.toContain("diskoScript");
});

test("nix sees a copy of nix/ with the kind beside it, and nothing of an earlier run", async () => {
  dir.program("nix", obliging);
  await builds.ensure(kind("before"), silent);
  builds = open();
  const runners = kind("runners");
  await builds.ensure(runners, silent);
  expect(existsSync(join(builds.flakeDir, "flake.nix"))).toBe(true);
  expect(JSON.parse(readFileSync(join(builds.flakeDir, "kinds/runners.json"), "utf8"))).toEqual(runners);
  expect(existsSync(join(builds.flakeDir, "kinds/before.json"))).toBe(false);
});

describe("a kind that does not build", () => {
  beforeEach(() => {
    dir.program(
      "nix",
      `case "$*" in *broken*) echo x >> calls; echo "error: no such option" >&2; exit 1;; esac\n${obliging}`,
    );
  });

  test("is named to all that asked, with nix's last words, and is not built again", async () => {
    const words = "kind broken does not build:\n    error: no such option";
    const ask = () => refusal(builds.ensure(kind("broken"), silent));
    expect(await Promise.all([ask(), ask()])).toEqual([words, words]);
    expect(await ask()).toBe(words);
    expect(dir.lines("calls")).toEqual(["x"]);
  });

  test("keeps no other from being built", async () => {
    const [broken, fine] = await Promise.allSettled([
      builds.ensure(kind("broken"), silent),
      builds.ensure(kind("fine"), silent),
    ]);
    expect([broken.status, fine.status]).toEqual(["rejected", "fulfilled"]);
  });
});

test("no more kinds are built at once than asked for", async () => {
  dir.program("nix", `echo begin >> order; sleep 0.1; echo end >> order\n${obliging}`);
  builds = open(1);
  await Promise.all(["a", "b", "c"].map((name) => builds.ensure(kind(name), silent)));
  expect(dir.lines("order")).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
});

test("what nix says is told as it comes", async () => {
  dir.program("nix", `echo "building 1 of 9" >&2\n${obliging}`);
  const told: string[] = [];
  await builds.ensure(kind("runners"), (line) => told.push(line));
  expect(told).toContain("building 1 of 9");
});

test("a build ends when it is cancelled", async () => {
  dir.program("nix", "echo began; exec sleep 60");
  const ended = refusal(builds.ensure(kind("runners"), () => abort.abort()));
  expect(await ended).toBe("nix: cancelled");
});

test("a file of the store is read through nix, wherever the store is", async () => {
  dir.program("nix", 'test "$3 $4" = "store cat" && echo "{}" || { echo "$*: no such file" >&2; exit 1; }');
  expect(await builds.readStoreFile("/nix/store/x/flotilla-hardware.json")).toBe("{}");
  dir.program("nix", 'echo "error: it is not there" >&2; exit 1');
  expect(await refusal(builds.readStoreFile("/nix/store/x/y"))).toBe(
    "/nix/store/x/y cannot be read:\n    error: it is not there",
  );
});
