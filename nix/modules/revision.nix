# A built system names the revision it was built from: /run/current-system/flotilla-revision is what a host really runs,
# whatever was pushed to it.
{ config, lib, ... }:
{
  system.systemBuilderCommands = ''
    echo -n ${lib.escapeShellArg config.flotilla.kind.revision} > $out/flotilla-revision
  '';
}
