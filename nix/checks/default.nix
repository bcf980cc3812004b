# `nix flake check`: every kind of this platform is built. A fresh clone has no kinds, so each profile is also evaluated,
# alone and with every disk layout; that costs no build.
{
  lib,
  pkgs,
  system,
  kinds,
  nixosConfigurations,
}:
let
  platform = pkgs.stdenv.hostPlatform.system;

  namesOf =
    directory:
    map (lib.removeSuffix ".nix") (
      lib.filter (lib.hasSuffix ".nix") (lib.attrNames (builtins.readDir directory))
    );

  sample = layout: tags: {
    name = "sample";
    revision = "sample";
    system = platform;
    provider =
      if
        lib.elem layout [
          "hetzner"
          "digitalocean"
        ]
      then
        layout
      else
        "existing";
    disk = {
      inherit layout;
      device = "/dev/disk/by-id/sample";
    };
    inherit tags;
    host = null;
    vault = {
      address = "https://vault.example.org:8200";
      mount = "secret";
      approleMount = "approle";
      namespace = null;
    };
    runners = [ ];
  };

  # A file that names the derivation without depending on it: evaluation is the test.
  evaluates =
    name: kind:
    pkgs.writeText name (
      builtins.unsafeDiscardStringContext (system kind).config.system.build.toplevel.drvPath
    );

  profiles = lib.genAttrs' (lib.remove "base" (namesOf ../profiles)) (tag: {
    name = "profile-${tag}";
    value = evaluates "profile-${tag}" (sample "generic" [ tag ]);
  });
  disks = lib.genAttrs' (namesOf ../disks) (layout: {
    name = "disk-${layout}";
    value = evaluates "disk-${layout}" (sample layout [ ]);
  });
  builds = lib.mapAttrs' (
    name: _: lib.nameValuePair "kind-${name}" nixosConfigurations.${name}.config.system.build.toplevel
  ) (lib.filterAttrs (_: kind: kind.system == platform) kinds);
in
profiles
// disks
// builds
// {
  lib =
    let
      failures = import ./lib.nix { inherit lib; };
    in
    assert lib.assertMsg (failures == [ ]) (lib.generators.toPretty { } failures);
    pkgs.writeText "lib" "";
}
