# shellcheck shell=sh
# Plays OpenWrt's /lib/functions.sh for the tests: the callbacks, and the commands that `uci export` prints and that its config_load
# evaluates. It was written for this project; UCI itself is in no registry that the tests could take it from.
reset_cb() {
    config_cb() { return 0; }
    option_cb() { return 0; }
    list_cb() { return 0; }
}
reset_cb

package() { return 0; }

config() {
    UCI_SECTION=${2-}
    config_cb "$1" "${2-}"
}

option() {
    name=$1
    shift
    # Only config_get_bool of the init script looks a value up again.
    [ "$UCI_SECTION.$name" != agent.enabled ] || AGENT_ENABLED=$*
    option_cb "$name" "$*"
}

list() {
    name=$1
    shift
    list_cb "$name" "$*"
}

config_load() {
    [ -r "${UCI_FOLDER:-/etc/config}/$1" ] || return 1
    # shellcheck source=/dev/null
    . "${UCI_FOLDER:-/etc/config}/$1"
    config_cb
}

config_get_bool() {
    case ${AGENT_ENABLED:-$4} in
        1 | on | true | yes | enabled) eval "$1=1" ;;
        *) eval "$1=0" ;;
    esac
}
