# DigitalOcean has no DHCP. Its addresses are on a config drive, and cloud-init turns them into networkd's files. Nothing
# else of cloud-init runs: its other modules would name the host, write root's keys and make new SSH host keys, and all of
# that is the identity's and the install's.
{ config, lib, ... }:
lib.mkIf (config.flotilla.kind.provider == "digitalocean") {
  networking.useDHCP = lib.mkDefault false;
  networking.useNetworkd = true;

  services.cloud-init = {
    enable = true;
    network.enable = true;
    settings = {
      datasource_list = [ "ConfigDrive" ];
      datasource.ConfigDrive = { };
      preserve_hostname = true;
      ssh_deletekeys = false;
      users = [ ];
      cloud_init_modules = [ "seed_random" ];
      cloud_config_modules = [ ];
      cloud_final_modules = [ ];
    };
  };
}
