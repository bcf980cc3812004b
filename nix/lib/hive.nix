# The colmena hive, as what `colmena.lib.makeHive` returns (schema v0.5) and colmena's commands ask for.
#
# makeHive itself evaluates NixOS once for each node. Here nodes share the system of their kind, and a node whose system
# was built already (`drvPath`) evaluates nothing but its own deployment options: a thousand hosts cost one evaluation
# per kind, or none.
{ lib }:
{
  hosts,
  systems,
  deploymentOptions,
}:
let
  systemOf =
    name: host:
    systems.${host.kind}
      or (throw "hosts.json: ${name} is of the kind '${host.kind}', which is not in kinds/");

  # Through colmena's own options: what it reads back has every key it expects.
  deploymentOf =
    name: host:
    (lib.evalModules {
      specialArgs = { inherit name; };
      modules = [
        deploymentOptions
        {
          deployment = {
            # The name, never an address: ssh_config knows address, port and host key.
            targetHost = name;
            inherit (host) tags;
            # Before activation, so that the new system starts as the host it is.
            keys."identity.json" = {
              keyFile = host.identityFile;
              destDir = "/etc/flotilla";
              permissions = "0444";
              uploadAt = "pre-activation";
            };
          };
        }
      ];
    }).config.deployment;

  drvPathOf =
    name: host:
    if host.drvPath != null then
      host.drvPath
    else
      (systemOf name host).config.system.build.toplevel.drvPath;

  select = names: lib.filterAttrs (name: _: lib.elem name names);
in
rec {
  __schema = "v0.5";

  metaConfig = {
    name = "flotilla";
    description = "Every host of the fleet";
    # Without `--on`, colmena would converge all hosts at once and pass the waves by.
    allowApplyAll = false;
    machinesFile = null;
  };

  nodes = lib.mapAttrs (
    name: host:
    let
      system = systemOf name host;
    in
    {
      inherit (system) options pkgs;
      config = system.config // {
        deployment = deploymentOf name host;
      };
    }
  ) hosts;

  deploymentConfig = lib.mapAttrs deploymentOf hosts;
  deploymentConfigSelected = names: lib.mapAttrs deploymentOf (select names hosts);

  toplevel = lib.mapAttrs (name: host: (systemOf name host).config.system.build.toplevel) hosts;
  evalSelected = names: select names toplevel;
  evalSelectedDrvPaths = names: lib.mapAttrs drvPathOf (select names hosts);

  introspect =
    f:
    f {
      inherit lib nodes;
      inherit (lib.head (lib.attrValues systems)) pkgs;
    };
}
