{
  description = "NixOS for a fleet of CI hosts";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    colmena = {
      url = "github:nix-community/colmena";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      disko,
      colmena,
    }:
    let
      inherit (nixpkgs) lib;
      flotilla = import ./lib { inherit lib; };

      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forSystems = systems: f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # What the program writes beside this file; both are absent in a fresh clone.
      kinds = flotilla.readKinds ./kinds;
      hosts = flotilla.readHosts ./hosts.json;

      system =
        kind:
        lib.nixosSystem {
          modules = [
            disko.nixosModules.disko
            self.nixosModules.default
          ]
          ++ flotilla.layers ./. kind;
        };
    in
    {
      nixosConfigurations = lib.mapAttrs (_: system) kinds;

      colmenaHive = flotilla.hive {
        inherit hosts;
        systems = self.nixosConfigurations;
        inherit (colmena.nixosModules) deploymentOptions;
      };

      nixosModules.default = ./modules;

      lib = flotilla;

      # By `self`: what is only a test is no part of any kind, and changes no revision.
      checks = forSystems linux (
        pkgs:
        import "${self}/checks" {
          inherit
            lib
            pkgs
            system
            kinds
            ;
          inherit (self) nixosConfigurations;
        }
      );

      formatter = forSystems (linux ++ darwin) (pkgs: pkgs.nixfmt-tree);

      devShells = forSystems (linux ++ darwin) (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [
            # From the input that `colmenaHive` is written for, not from nixpkgs: they must agree on the schema.
            colmena.packages.${pkgs.stdenv.hostPlatform.system}.colmena
            pkgs.nixos-anywhere
            pkgs.nixfmt-tree
            pkgs.deadnix
          ];
        };
      });
    };
}
