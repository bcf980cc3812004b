# Isolation `microvm`: each job in a Firecracker VM of its own. Not there yet: the VM's image, its network and the pool are to be
# written, and no weaker isolation takes their place unasked.
{ config, lib, ... }:
{
  assertions = map (runner: {
    assertion = false;
    message = "flotilla: runner '${runner.name}': isolation 'microvm' is not there yet. Use 'host', or 'container' with Forgejo and Gitea.";
  }) (lib.filter (runner: runner.isolation == "microvm") config.flotilla.kind.runners);
}
