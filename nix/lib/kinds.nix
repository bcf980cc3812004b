# Kinds: what the program writes to kinds/<name>.json. The options of `flotilla.kind` are the schema, so an unknown key,
# a missing key or a wrong type fails with the name of the file.
{ lib }:
let
  readKind =
    file:
    let
      inherit
        (lib.evalModules {
          modules = [
            ../modules/kind/options.nix
            {
              _file = toString file;
              config = lib.importJSON file;
            }
          ];
        })
        config
        ;
      name = lib.removeSuffix ".json" (baseNameOf file);
    in
    # Everything is forced here, so that a fault shows before the first system is evaluated.
    builtins.addErrorContext "while reading ${toString file}" (
      builtins.deepSeq config (
        lib.throwIf (
          config.name != name
        ) "${toString file}: holds the kind '${config.name}'; a kind lives in a file of its own name" config
      )
    );
in
{
  inherit readKind;

  /**
    All kinds of a directory, by name; empty when the directory is absent.
  */
  readKinds =
    dir:
    lib.optionalAttrs (builtins.pathExists dir) (
      lib.mapAttrs' (
        file: _: lib.nameValuePair (lib.removeSuffix ".json" file) (readKind (dir + "/${file}"))
      ) (lib.filterAttrs (file: _: lib.hasSuffix ".json" file) (builtins.readDir dir))
    );
}
