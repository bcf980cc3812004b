/** Checks the workflows under `.github/workflows`. */
import { ensureTool, type Tool } from "./tool.ts";

const version = "1.7.12";
const releases = `https://github.com/rhysd/actionlint/releases/download/v${version}`;

export const actionlint: Tool = {
  name: "actionlint",
  version,
  purpose: "the check of the workflows",
  onPath: [{ name: "actionlint", versionArgs: ["-version"], atLeast: version }],
  release: ({ os, arch }) => ({
    archive: `${releases}/actionlint_${version}_${os}_${arch}.tar.gz`,
    checksums: `${releases}/actionlint_${version}_checksums.txt`,
  }),
  build: { module: "actionlint", package: "github.com/rhysd/actionlint/cmd/actionlint" },
  buildMinutes: 1,
  install: `actionlint ${version} or newer (https://github.com/rhysd/actionlint)`,
};

export function ensureActionlint(): Promise<string> {
  return ensureTool(actionlint);
}
