{
  imports = [
    ./approle.nix
    ./drain.nix
    ./identity.nix
    ./isolation
    ./kind
    ./providers
    ./revision.nix
    ./runners
    ./ssh.nix
    ./vault.nix
  ];
}
