# From the identity to the configuration of the Vault agent.

# A value of the KV entry, empty when the entry does not have it (a registration token has no uuid).
def field($path; $key):
  "{{ with secret \"" + $path + "\" }}{{ with .Data.data." + $key + " }}{{ . }}{{ end }}{{ end }}";

def template($path; $key; $destination):
  { contents: field($path; $key), destination: $destination, perms: "0400", error_on_missing_key: false };

. as $identity
| {
    vault: { address: $address },
    auto_auth: {
      method: {
        type: "approle",
        mount_path: $auth,
        config: {
          role_id_file_path: ($approle + "/role-id"),
          secret_id_file_path: ($approle + "/secret-id"),
          # The default removes it, and the next start of the agent could not log in.
          remove_secret_id_file_after_reading: false
        }
      }
    },
    template_config: { static_secret_render_interval: "60s", exit_on_retry_failure: false },
    template: [
      $identity.runners[]
      | ($mount + "/data/hosts/" + $identity.name + "/" + .name) as $path
      | ("/run/secrets/runners/" + .name) as $dir
      | template($path; "uuid"; $dir + "/uuid"),
        (template($path; "token"; $dir + "/token")
          # A runner of the identity that this system does not have yet gets its secrets, and no unit.
          + if $onChange[.runner] then
              { exec: { command: [$systemctl, $onChange[.runner], "--no-block",
                "flotilla-runner-\(.runner)-\(.instance).service"], timeout: "30s" } }
            else {} end)
    ]
  }
