import { ensureTool, type Tool } from "./tool.ts";

const version = "3.259.0";

export const pulumi: Tool = {
  name: "pulumi",
  version,
  purpose: "the rehearsal's engine",
  onPath: [{ name: "pulumi", versionArgs: ["version"], atLeast: version }],
  release: ({ os, arch }) => ({
    archive: `https://get.pulumi.com/releases/sdk/pulumi-v${version}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
    checksums: `https://github.com/pulumi/pulumi/releases/download/v${version}/pulumi-${version}-checksums.txt`,
    strip: 1,
  }),
  build: {
    module: "pulumi",
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    flags: ["-ldflags", `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`],
  },
  buildMinutes: 8,
  install: `Pulumi ${version} or newer (https://www.pulumi.com/docs/install)`,
};

export function ensurePulumi(): Promise<string> {
  return ensureTool(pulumi);
}
