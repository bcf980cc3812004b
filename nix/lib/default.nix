{ lib }:
{
  inherit (import ./kinds.nix { inherit lib; }) readKind readKinds;
  readHosts = import ./hosts.nix { inherit lib; };
  layers = import ./layers.nix { inherit lib; };
  hive = import ./hive.nix { inherit lib; };
}
