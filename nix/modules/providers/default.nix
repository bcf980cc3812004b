# Hardware and network that come with the machine's provider.
{
  imports = [
    ./digitalocean.nix
    ./existing.nix
    ./guest.nix
    ./hetzner.nix
  ];
}
