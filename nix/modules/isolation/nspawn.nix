# Isolation `nspawn`: each job in a systemd-nspawn guest of its own. Not there yet: the guest's image and the hand-over of the job are to be
# written, and no weaker isolation takes their place unasked.
{ config, lib, ... }:
{
  assertions = map (runner: {
    assertion = false;
    message = "flotilla: runner '${runner.name}': isolation 'nspawn' is not there yet. Use 'host', or 'container' with Forgejo and Gitea.";
  }) (lib.filter (runner: runner.isolation == "nspawn") config.flotilla.kind.runners);
}
