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

fail() {
    printf 'fresh_root: %s\n' "$*" >&2
    exit 1
}

# First archive of Debian's main in the machine's apt sources that has this release.
mirror() {
    # shellcheck disable=SC2016 # apt's own format, not the shell's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$1" '$2 == release && $3 == "main" { print $1; exit }'
}

make_root() {
    local root=$1 release=bookworm from path
    from=$(mirror $release)
    [ -n "$from" ] || fail "no apt source of this machine has Debian's $release main"
    debootstrap --variant=minbase --include=git,ca-certificates $release "$root" "$from" >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2 && fail "debootstrap failed"; }
    rm -f "$root/etc/apt/sources.list"
    for path in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d \
        /etc/apt/keyrings /usr/share/keyrings; do
        [ ! -e $path ] || cp -a $path "$root$(dirname $path)/"
    done
}

inside() {
    local root=$1 command
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for command in "git -c advice.detachedHead=false clone --quiet /srv/pvrelay.bundle /root/pvrelay" "/root/pvrelay/run demo" "/root/pvrelay/run test"; do
        printf '\n#### %s\n' "$command"
        SECONDS=0
        # shellcheck disable=SC2086 # the words of the command
        env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            chroot "$root" $command
        printf '#### %s: %d s\n' "$command" $SECONDS
    done
}

if [ "${1:-}" = --inside ]; then
    inside "$2"
    exit
fi

[ $# -eq 1 ] || fail "usage: fresh_root.sh ROOT_DIR"
root=$1
[ "$(id -u)" -eq 0 ] || fail "needs root: debootstrap and chroot do"
[ ! -e "$root" ] || fail "$root exists already: name a folder that does not"
mkdir -p "$root"
root=$(cd "$root" && pwd)
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

clean_up() {
    if [ "${KEEP:-0}" != 1 ]; then
        rm -rf --one-file-system "$root" "$root.log"
    fi
}
trap clean_up EXIT

printf '#### a bare Debian in %s\n' "$root"
make_root "$root"
git -C "$project" bundle create --quiet "$root/srv/pvrelay.bundle" HEAD
unshare --mount --pid --fork --kill-child "$(command -v bash)" "${BASH_SOURCE[0]}" --inside "$root"
printf '\nfresh_root: demo and test succeeded\n'
