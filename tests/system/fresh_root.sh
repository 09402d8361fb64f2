#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# On a bare Debian 12, nothing but git installed: does a clone's ./run demo succeed, does its ./run test pass?
#
#   fresh_root.sh ROOT_DIR      ROOT_DIR: made, filled (about 2 GB), and removed at the end; KEEP=1 keeps it
#
# Needs root, debootstrap, git and the network, and takes minutes: for `./run fresh`, not for `./run test`. What is tested is the
# last commit (git's HEAD). The mirror and all that apt needs to reach it are the machine's own.
# All mounts live in a mount namespace and all processes in a process namespace of their own: however this ends, none is left.
set -euo pipefail
export LC_ALL=C.UTF-8
name=fresh_root
# shellcheck source=tests/system/bare_root.sh
. "$(dirname "${BASH_SOURCE[0]}")/bare_root.sh"

inside() {
    local root=$1 command
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for command in "git -c advice.detachedHead=false clone --quiet /srv/pvrelay.bundle /root/pvrelay" "/root/pvrelay/run demo" "/root/pvrelay/run test"; do
        printf '\n#### %s\n' "$command"
        SECONDS=0
        # shellcheck disable=SC2086 # the words of the command
        in_root "$root" $command
        printf '#### %s: %d s\n' "$command" $SECONDS
    done
}

if [ "${1:-}" = --inside ]; then
    inside "$2"
    exit
fi

[ $# -eq 1 ] || fail "usage: fresh_root.sh ROOT_DIR"
begin_root "$1"
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

printf '#### a bare Debian in %s\n' "$root"
make_root "$root" git,ca-certificates
git -C "$project" bundle create --quiet "$root/srv/pvrelay.bundle" HEAD
unshare --mount --pid --fork --kill-child "$(command -v bash)" "${BASH_SOURCE[0]}" --inside "$root"
printf '\nfresh_root: demo and test succeeded\n'
