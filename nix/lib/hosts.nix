# hosts.json: which host is of which kind. Strict, like the kinds; empty when the file is absent.
{ lib }:
let
  inherit (lib) mkOption types;

  host = types.submodule {
    options = {
      kind = mkOption {
        type = types.str;
        description = "Name of the host's kind.";
      };
      tags = mkOption {
        type = types.listOf types.str;
        description = "What `colmena --on @tag` selects by.";
      };
      identityFile = mkOption {
        type = types.strMatching "/.*";
        description = "Absolute path, on the machine that converges, of what becomes /etc/flotilla/identity.json.";
      };
      drvPath = mkOption {
        type = types.nullOr (types.strMatching "/.*\\.drv");
        description = "The system as it was built for the kind. Null evaluates the kind.";
      };
    };
  };
in
file:
let
  inherit
    (lib.evalModules {
      modules = [
        { options.hosts = mkOption { type = types.attrsOf host; }; }
        {
          _file = toString file;
          config.hosts = lib.importJSON file;
        }
      ];
    })
    config
    ;
in
lib.optionalAttrs (builtins.pathExists file) (builtins.deepSeq config.hosts config.hosts)
