# Every connection to a host is strict, so the host must show the key that the fleet derived for it and that the install
# put in place. It never makes one: a host that lost its key is refused by name instead of being trusted anew.
{ config, ... }:
{
  services.openssh = {
    enable = true;
    generateHostKeys = false;
    hostKeys = [
      {
        path = "/etc/ssh/ssh_host_ed25519_key";
        type = "ed25519";
      }
    ];
    authorizedKeysFiles = [ "${config.flotilla.identity.authorizedKeysDir}/%u" ];
    settings = {
      PermitRootLogin = "prohibit-password";
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
    };
  };

  # Root's keys arrive with the identity: there is none for NixOS to see.
  users.allowNoPasswordLogin = true;
}
