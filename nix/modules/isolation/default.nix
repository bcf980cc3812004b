# Where a job runs. One file for each isolation; a file whose isolation is not there yet says so, by runner, when a system
# that needs it is built.
{
  imports = [
    ./container.nix
    ./host.nix
    ./microvm.nix
    ./nspawn.nix
  ];
}
