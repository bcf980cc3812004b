{ config, lib, ... }:
let
  inherit (config.flotilla) kind;

  wrongScope =
    runner:
    {
      repo = runner.scope.owner == null || runner.scope.name == null;
      instance = false;
    }
    .${runner.scope.kind} or (runner.scope.name == null);
in
{
  options.flotilla.kind = lib.mkOption {
    type = lib.types.submodule ./options.nix;
    description = ''
      All that is evaluated of a host. Hosts of one kind share one system; what differs between them arrives at run time
      as /etc/flotilla/identity.json. The program writes it; without the program, set it like any other option.
    '';
  };

  config.assertions = map (runner: {
    assertion = !wrongScope runner;
    message = "flotilla.kind.runners: '${runner.name}' has scope '${runner.scope.kind}' without ${
      if runner.scope.kind == "repo" then "owner and name" else "a name"
    }";
  }) kind.runners;
}
