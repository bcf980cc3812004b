# Tests of lib/, which need no nixpkgs but its lib: an empty list when all pass.
#   nix-instantiate --eval --strict nix/checks/lib.nix --arg lib 'import <nixpkgs/lib>'
{ lib }:
let
  flotilla = import ../lib { inherit lib; };
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;

  kind = {
    name = "b-a";
    revision = "r1";
    system = "x86_64-linux";
    provider = "existing";
    disk = null;
    tags = [
      "b"
      "a"
    ];
    host = "one";
    vault = {
      address = "https://vault.example.org:8200";
      mount = "secret";
      approleMount = "approle";
      namespace = null;
    };
    runners = [ ];
  };

  # Options as NixOS has them, and a module that sets them plainly.
  nixos =
    { ... }:
    let
      inherit (lib) mkOption types;
      option = type: mkOption { inherit type; };
    in
    {
      options = {
        flotilla.kind = option types.anything;
        nixpkgs.hostPlatform = option types.str;
        single = option types.int;
        maybe = option (types.nullOr types.str);
        either = option (types.either types.int (types.enum [ "auto" ]));
        words = option (types.listOf types.str);
        text = option types.lines;
        set = option (types.attrsOf types.int);
        service = mkOption {
          type = types.submodule {
            freeformType = types.attrsOf (types.either types.int types.str);
            options.port = option types.int;
          };
        };
        forced = option types.int;
        conditional = option types.int;
      };
      config = {
        single = 0;
        words = [ "nixos" ];
        text = "nixos";
        forced = lib.mkForce 0;
      };
    };

  layered =
    (lib.evalModules {
      modules = [ nixos ] ++ flotilla.layers ./sample kind;
    }).config;

  host = {
    kind = "b-a";
    tags = [ "a" ];
    identityFile = "/tmp/identity.json";
    drvPath = "/nix/store/x.drv";
  };
  hive = flotilla.hive {
    hosts = {
      built = host;
      unbuilt = host // {
        drvPath = null;
      };
      stray = host // {
        kind = "nosuch";
        drvPath = null;
      };
    };
    systems.b-a.config.system.build.toplevel.drvPath = "/nix/store/evaluated.drv";
    deploymentOptions =
      { name, ... }:
      {
        options.deployment = lib.mkOption { type = lib.types.attrsOf lib.types.anything; };
        config.deployment.node = name;
      };
  };
in
lib.runTests {
  testLastLayerWins = {
    expr = layered.single;
    expected = 4;
  };
  testLaterTagWins = {
    expr = [
      layered.maybe
      layered.either
      layered.service.port
      layered.service.mode
      layered.set.shared
    ];
    expected = [
      "b"
      "auto"
      2
      "b"
      2
    ];
  };
  testListsAddUp = {
    expr = lib.sort lib.lessThan layered.words;
    expected = [
      "a"
      "b"
      "base"
      "nixos"
      "one"
    ];
  };
  testLinesAddUp = {
    expr = lib.sort lib.lessThan (lib.splitString "\n" layered.text);
    expected = [
      "base"
      "nixos"
    ];
  };
  testSetsAddUp = {
    expr = lib.attrNames layered.set;
    expected = [
      "fromBase"
      "shared"
    ];
  };
  testForceStays = {
    expr = layered.forced;
    expected = 0;
  };
  testConditionsHold = {
    expr = layered.conditional;
    expected = 1;
  };
  testTagWithoutProfile = {
    expr = fails (flotilla.layers ./sample (kind // { tags = [ "nosuch" ]; }));
    expected = true;
  };

  testAbsentKinds = {
    expr = flotilla.readKinds ./nosuch;
    expected = { };
  };
  testAbsentHosts = {
    expr = flotilla.readHosts ./nosuch.json;
    expected = { };
  };
  testKind = {
    expr = (flotilla.readKind ./sample/kinds/good.json).disk.device;
    expected = null;
  };
  testUnknownKey = {
    expr = fails (flotilla.readKind ./sample/kinds/unknown-key.json);
    expected = true;
  };
  testMissingKey = {
    expr = fails (flotilla.readKind ./sample/kinds/missing-key.json);
    expected = true;
  };
  testOtherName = {
    expr = fails (flotilla.readKind ./sample/kinds/other-name.json);
    expected = true;
  };

  testBuiltNodeIsNotEvaluated = {
    expr = hive.evalSelectedDrvPaths [ "built" ];
    expected.built = "/nix/store/x.drv";
  };
  testUnbuiltNodeTakesItsKind = {
    expr = hive.evalSelectedDrvPaths [ "unbuilt" ];
    expected.unbuilt = "/nix/store/evaluated.drv";
  };
  testNodeOfNoKind = {
    expr = fails (hive.evalSelectedDrvPaths [ "stray" ]);
    expected = true;
  };
  testIdentityIsDelivered = {
    expr = (hive.deploymentConfigSelected [ "built" ]).built.keys."identity.json".destDir;
    expected = "/etc/flotilla";
  };
}
