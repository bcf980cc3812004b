# The schema of a kind: `Kind` of fleet/model.ts, and what kinds/<name>.json holds. There is no free form; a key that is
# not named here fails the evaluation.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  required =
    type: description:
    mkOption {
      inherit type description;
    };
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  word = types.strMatching "[a-z0-9]([a-z0-9-]*[a-z0-9])?";

  disk = types.submodule {
    options = {
      layout = required word "A file of disks/, without `.nix`.";
      device = optional (types.strMatching "/.*") "Absolute path of the device; the layout's own default when absent.";
    };
  };

  vault = types.submodule {
    options = {
      address = required types.str "Address of the Vault server.";
      mount = required types.str "Mount of the KV (version 2) engine that holds the runners' credentials.";
      approleMount = required types.str "Mount of the AppRole method that the host logs in with.";
      namespace = optional types.str "Namespace (Vault Enterprise, OpenBao).";
    };
  };

  scope = types.submodule {
    options = {
      kind = required (types.enum [
        "repo"
        "user"
        "org"
        "enterprise"
        "instance"
      ]) "What the runner is registered for.";
      owner = optional types.str "Owner of the repository; with `repo` only.";
      name = optional types.str "Name of the repository, user, organisation or enterprise; absent with `instance`.";
    };
  };

  pool = types.submodule {
    options = {
      min = required types.ints.unsigned "VMs that are always up.";
      max = required types.ints.positive "VMs at most.";
      vcpus = required types.ints.positive "Virtual CPUs of each VM.";
      memoryMib = required types.ints.positive "Memory of each VM, MiB.";
    };
  };

  forge = types.submodule {
    options = {
      kind = required (types.enum [
        "github"
        "forgejo"
        "gitea"
      ]) "What software the forge runs.";
      url = required (types.strMatching "https?://.*[^/]") "Base address, without a trailing slash.";
    };
  };

  runner = types.submodule {
    options = {
      name = required word "The runner's name in the fleet; part of its units' names.";
      forge = required forge "The server that the runner registers with.";
      scope = required scope "What the runner takes jobs from.";
      labels = required (types.listOf types.str) "Labels that jobs select by.";
      isolation = required (types.enum [
        "host"
        "container"
        "nspawn"
        "microvm"
      ]) "Where a job runs.";
      ephemeral = required types.bool "A fresh registration for each job.";
      perHost = required types.ints.positive "Registrations on each host; each has a unit of its own.";
      capacity = required types.ints.positive "Jobs at once within one registration. GitHub knows one only.";
      pool = optional pool "Size of the VM pool; with isolation `microvm`.";
    };
  };
in
{
  options = {
    name = required word "Tags and a short hash of the content.";
    revision = required types.str "Hash of the kind and of the Nix files it uses; what a converged host reports.";
    system = required (types.enum [
      "x86_64-linux"
      "aarch64-linux"
    ]) "Platform of the host.";
    provider = required (types.enum [
      "hetzner"
      "digitalocean"
      "existing"
    ]) "Where the machine comes from; decides its hardware and network defaults.";
    disk = optional disk "Disk layout for the install; absent on adopted hosts.";
    tags = required (types.listOf word) "Each names a file of profiles/.";
    host = optional word "Name of the host, when hosts/<name>.nix makes it a kind of its own.";
    vault = required vault "Where the credentials of the runners are.";
    runners = required (types.listOf runner) "Runners that hosts of this kind carry.";
  };
}
