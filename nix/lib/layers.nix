# What a kind is made of, in layers: base → tags (alphabetical) → hosts/<name>.nix. A later layer wins over an earlier one.
#
# The module system does not know an order of imports: two profiles that set one option conflict. So each layer sets its
# *single* values (bool, number, string, enum, path, package) at a priority of its own, while lists, lines and attribute
# sets are left alone and add up as everywhere in NixOS. An override of a whole profile would not do: its
# `environment.systemPackages` would lose against, or wipe out, the list of every other module.
#
# Priorities run from 99 downwards, so a layer is stronger than what NixOS modules set plainly (100) and weaker than
# `mkForce` (50). A profile's own mkDefault, mkForce or mkOverride stays as written.
{ lib }:
let
  basePriority = 99;
  forcePriority = 50;

  single = [
    "bool"
    "boolByOr"
    "enum"
    "float"
    "nonEmptyStr"
    "number"
    "numberBetween"
    "numberNonnegative"
    "numberPositive"
    "package"
    "passwdEntry"
    "path"
    "pathInStore"
    "shellPackage"
    "singleLineStr"
    "str"
  ];
  isSingle =
    type:
    lib.elem type.name single
    || lib.hasPrefix "strMatching" type.name
    || lib.hasPrefix "int" type.name
    || lib.hasPrefix "signedInt" type.name
    || lib.hasPrefix "unsignedInt" type.name
    || lib.hasPrefix "passwdEntry" type.name
    || type.name == "positiveInt";

  # Properties (mkIf, mkMerge, …) are looked through; a value that has a priority already is left as it is.
  throughProperties =
    f: value:
    if (value._type or null) == "if" then
      value // { content = throughProperties f value.content; }
    else if (value._type or null) == "merge" then
      value // { contents = map (throughProperties f) value.contents; }
    else if (value._type or null) == "override" || (value._type or null) == "order" then
      value
    else
      f value;

  # The same walk over the type of an option and a value of it.
  layerValue =
    priority: type:
    throughProperties (
      value:
      let
        recurse = layerValue priority;
        inherit (type) nestedTypes;
      in
      if isSingle type then
        lib.mkOverride priority value
      else if type.name == "nullOr" then
        if value == null then lib.mkOverride priority null else recurse nestedTypes.elemType value
      else if type.name == "uniq" || type.name == "unique" then
        lib.mkOverride priority value
      else if type.name == "coercedTo" then
        if nestedTypes.finalType.check value then recurse nestedTypes.finalType value else value
      else if type.name == "either" then
        recurse (if nestedTypes.left.check value then nestedTypes.left else nestedTypes.right) value
      else if (type.name == "attrsOf" || type.name == "lazyAttrsOf") && lib.isAttrs value then
        lib.mapAttrs (_: recurse nestedTypes.elemType) value
      else if type.name == "submodule" && lib.isAttrs value then
        layerSet priority (type.getSubOptions [ ]) nestedTypes.freeformType or null value
      else
        value
    );

  # A set of options, as `options` of a module or the inside of a submodule.
  layerSet =
    priority: options: freeformType:
    throughProperties (
      lib.mapAttrs (
        name: value:
        let
          option = options.${name} or null;
        in
        if lib.isOption option then
          layerValue priority option.type value
        else if lib.isAttrs option then
          layerSet priority option null value
        else if freeformType.name or "" == "attrsOf" || freeformType.name or "" == "lazyAttrsOf" then
          layerValue priority freeformType.nestedTypes.elemType value
        else
          # No such option: the module system says so better than this file could.
          value
      )
    );

  layerModule =
    priority: file:
    let
      wrap =
        options: module:
        let
          structured = module ? config || module ? options;
          meta = [
            "_class"
            "_file"
            "disabledModules"
            "imports"
            "key"
          ];
        in
        (if structured then module else lib.intersectAttrs (lib.genAttrs meta (_: null)) module)
        // {
          _file = toString file;
          key = toString file;
          config = layerSet priority options null (
            if structured then module.config or { } else removeAttrs module meta
          );
        };
      module = import file;
    in
    if lib.isFunction module then
      lib.setFunctionArgs (args: wrap args.options (module args)) (lib.functionArgs module)
    else
      ({ options, ... }: wrap options module);

  profile =
    root: tag:
    let
      file = root + "/profiles/${tag}.nix";
    in
    lib.throwIfNot (builtins.pathExists file)
      "the tag '${tag}' has no profile: write nix/profiles/${tag}.nix ('{ }' is enough for a tag that only selects)"
      file;
in
/**
  The modules of a kind, to go with nixosModules.default. `root` is the directory that holds profiles/, hosts/ and disks/.
*/
root: kind:
let
  files = [
    (root + "/profiles/base.nix")
  ]
  ++ map (profile root) (lib.sort lib.lessThan (lib.unique kind.tags))
  ++ lib.optional (kind.host != null) (root + "/hosts/${kind.host}.nix");
in
lib.throwIf (lib.length files > basePriority - forcePriority)
  "kind '${kind.name}' has more layers than there are priorities above mkForce (${
    toString (basePriority - forcePriority)
  })"
  (
    [
      {
        _file = "kind ${kind.name}";
        config.flotilla.kind = kind;
        config.nixpkgs.hostPlatform = kind.system;
      }
    ]
    ++ lib.optionals (kind.disk != null) (
      [ (root + "/disks/${kind.disk.layout}.nix") ]
      ++ lib.optional (kind.disk.device != null) {
        _file = "kind ${kind.name}";
        config.disko.devices.disk.main.device = kind.disk.device;
      }
    )
    ++ lib.imap0 (index: layerModule (basePriority - index)) files
  )
