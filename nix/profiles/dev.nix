# Hosts to try things on: the tools to look at them are there.
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.dnsutils
    pkgs.gitMinimal
    pkgs.htop
    pkgs.lsof
    pkgs.strace
    pkgs.tcpdump
    pkgs.vim
  ];

  nix.gc.options = "--delete-older-than 3d";
}
