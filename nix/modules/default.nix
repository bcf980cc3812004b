{
  imports = [
    ./approle.nix
    ./drain.nix
    ./identity.nix
    ./isolation
    ./kind
    ./revision.nix
    ./runners
    ./ssh.nix
    ./vault.nix
  ];
}
