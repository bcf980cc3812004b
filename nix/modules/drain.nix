# flotilla-drain: no new jobs, and those that run may finish. A runner's unit stops gracefully by itself (see
# runners/unit.nix), so this asks for the stop and watches the time.
#
# A job is ended only when there is no time for it at all (`--timeout 0`). When the time is over and jobs still run (exit 4)
# they go on, and no new one follows.
#
# A drained runner stays down until the host boots or `flotilla-drain --resume`; a new credential does not wake it.
{
  config,
  pkgs,
  ...
}:
let
  inherit (config.flotilla) identity;

  flotilla-drain = pkgs.writeShellApplication {
    name = "flotilla-drain";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.jq
      config.systemd.package
    ];
    text = ''
      usage() {
        echo "usage: flotilla-drain --timeout SECONDS [RUNNER…] | --resume [RUNNER…]" >&2
        echo "With 0 seconds, running jobs are ended." >&2
        echo "RUNNER is a runner of the fleet, or one registration of it as its forge lists it; none means all." >&2
        exit 2
      }
      timeout="" resume=""
      case ''${1-} in
        --timeout) timeout=''${2-} && shift "$(( $# > 1 ? 2 : 1 ))" ;;
        --resume) resume=1 && shift ;;
        *) usage ;;
      esac
      [[ -n $resume || $timeout =~ ^[0-9]+$ ]] || usage

      units=()
      select_units() {
        local found
        found=$(jq --raw-output --arg runner "$1" '
          .runners[] | select($runner == "" or .name == $runner or .runner == $runner)
          | "flotilla-runner-\(.runner)-\(.instance).service"' ${identity.file})
        if [[ -n $found ]]; then
          mapfile -t -O "''${#units[@]}" units <<< "$found"
        elif [[ -n $1 ]]; then
          echo "flotilla-drain: this host carries no runner '$1'" >&2
          exit 2
        fi
      }
      if (( $# == 0 )); then set -- ""; fi
      for runner in "$@"; do select_units "$runner"; done
      (( ''${#units[@]} > 0 )) || exit 0

      mkdir -p /run/flotilla/drained
      if [[ -n $resume ]]; then
        (cd /run/flotilla/drained && rm -f "''${units[@]}")
        exec systemctl start "''${units[@]}"
      fi

      (cd /run/flotilla/drained && touch "''${units[@]}")
      # A runner that the identity names and this system does not have yet is no fault: it does not run.
      systemctl stop --no-block "''${units[@]}" || true

      if (( timeout == 0 )); then
        systemctl kill --signal=SIGKILL "''${units[@]}" 2> /dev/null || true
      fi

      deadline=$(( SECONDS + (timeout > 0 ? timeout : 30) ))
      while :; do
        busy=()
        for unit in "''${units[@]}"; do
          state=$(systemctl is-active "$unit" || true)
          [[ $state == inactive || $state == failed || $state == unknown ]] || busy+=("$unit")
        done
        (( ''${#busy[@]} > 0 )) || exit 0
        (( SECONDS < deadline )) || break
        sleep 1
      done

      echo "flotilla-drain: jobs still run after $timeout s, and take no successor: ''${busy[*]}" >&2
      exit 4
    '';
  };
in
{
  environment.systemPackages = [ flotilla-drain ];
}
