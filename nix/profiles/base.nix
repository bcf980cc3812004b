# Every host.
{ pkgs, ... }:
{
  # What state on disk is compatible with; not the release in use. An adopted host keeps its own in hosts/<name>.nix.
  system.stateVersion = "26.05";

  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";
  documentation.enable = false;
  environment.systemPackages = [
    pkgs.curl
    pkgs.jq
  ];

  # There are no accounts but root's, no passwords, and nothing to change by hand.
  users.mutableUsers = false;

  networking.firewall.enable = true;
  networking.nftables.enable = true;

  nix = {
    channel.enable = false;
    settings.experimental-features = [
      "nix-command"
      "flakes"
    ];
    gc = {
      automatic = true;
      dates = "weekly";
      options = "--delete-older-than 14d";
    };
    optimise.automatic = true;
  };

  boot.loader.grub.configurationLimit = 10;
  boot.loader.systemd-boot.configurationLimit = 10;
  boot.tmp.cleanOnBoot = true;

  services.fstrim.enable = true;
  services.journald.extraConfig = ''
    SystemMaxUse=1G
  '';
  zramSwap.enable = true;
}
