#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# On a bare Debian 12: does the package install with all it needs, does what is in it work, is it upgraded, and does purging it leave nothing?
#
#   fresh_package.sh DEB BIN_DIR ROOT_DIR      BIN_DIR: of the build, for pvrelay-export-gen, which is in no package
#                                              ROOT_DIR: made, filled (about 600 MB), and removed at the end; KEEP=1 keeps it
#
# Needs root, debootstrap and the network, and takes about three minutes: `./run package --check`.
# All mounts live in a mount namespace and all processes in a process namespace of their own: however this ends, none is left.
set -euo pipefail
export LC_ALL=C.UTF-8
name=fresh_package
# shellcheck source=tests/system/bare_root.sh
. "$(dirname "${BASH_SOURCE[0]}")/bare_root.sh"

step() {
    printf '#### %s\n' "$*"
}

# apt ARGUMENT...: its output is shown only if it fails, and stays in $root.log.
apt() {
    in_root "$root" apt-get -y -q "$@" >"$root.log" 2>&1 || { tail -n 40 "$root.log" >&2 && fail "apt-get $* failed"; }
}

# expect TEXT COMMAND...: the command, in the root, prints a line with this text.
expect() {
    local text=$1 output
    shift
    output=$(in_root "$root" "$@" 2>&1) || fail "$*: failed: $output"
    [[ $output == *"$text"* ]] || fail "$*: \"$text\" is missing: $output"
}

# What is installed where, but for what apt, dpkg and ldconfig note for themselves, and the spare copies of passwd and group.
files() {
    (cd "$root" && find . \( -path ./proc -o -path ./dev -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./var/cache -o -path ./var/log \
        -o -path ./srv -o -path ./tmp \) -prune -o ! -name '*-' ! -path ./etc/.pwd.lock -print | sort)
    (cd "$root" && sort etc/passwd etc/group)
}

assert_nothing_left() {
    files >"$root.after"
    diff "$root.before" "$root.after" >"$root.diff" || { cat "$root.diff" >&2 && fail "after purging it is not as before"; }
    ! in_root "$root" dpkg-query -W pvrelay >/dev/null 2>&1 || fail "dpkg still knows pvrelay"
    rm -f "$root.before" "$root.after" "$root.diff"
}

try_programs() {
    expect "pvrelay 0." pvrelay --version
    expect "replay JSON exports" env MANWIDTH=80 man pvrelay
    expect "install, configure" env MANWIDTH=80 man pvrelay-systemd
    in_root "$root" mkdir /tmp/demo
    expect "462" pvrelay run /srv/exports/prod_export_audits.json /srv/exports/prod_export_modules.json --target /tmp/demo/hub.db
    expect "complete" pvrelay status --target /tmp/demo/hub.db
    rm -rf "$root/tmp/demo"
}

inside() {
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    apt update
    apt install --no-install-recommends man-db

    step "without systemd: install, run, purge"
    files >"$root.before"
    apt install --no-install-recommends /srv/first.deb
    try_programs
    apt purge --autoremove pvrelay
    assert_nothing_left

    step "with systemd: install, upgrade, remove and install again, purge"
    apt install --no-install-recommends systemd
    files >"$root.before"
    apt install /srv/first.deb
    expect "pvrelay" id pvrelay
    expect "root pvrelay 750" stat -c '%U %G %a' /etc/pvrelay
    expect "pvrelay pvrelay 750" stat -c '%U %G %a' /var/lib/pvrelay
    try_programs
    # A managed run as it leaves things: a configuration, a report; and a database, which is not the package's.
    in_root "$root" cp /usr/share/doc/pvrelay/examples/demo.json /etc/pvrelay/demo.json
    in_root "$root" mkdir -p /var/lib/pvrelay/hub.db-reports/run-1
    in_root "$root" touch /var/lib/pvrelay/hub.db-reports/run-1/report.md /var/lib/pvrelay/hub.db-reports/run-1/report.json /var/lib/pvrelay/hub.db
    apt install /srv/second.deb
    expect "-2" dpkg-query -W pvrelay
    try_programs
    apt remove pvrelay
    [ -e "$root/etc/pvrelay/demo.json" ] || fail "removing the package took a configuration, which only purging may"
    apt install /srv/second.deb

    apt purge --autoremove pvrelay
    grep -qF 'pvrelay: /var/lib/pvrelay is kept: what is left in it is not pvrelay'"'"'s to delete' "$root.log" || fail "it does not say that a database is kept"
    [ "$(cd "$root" && find var/lib/pvrelay | sort | tr '\n' ' ')" = "var/lib/pvrelay var/lib/pvrelay/hub.db " ] || fail "the database, and only that, should be kept"
    [ ! -e "$root/etc/pvrelay" ] || fail "/etc/pvrelay is still there"
    expect "pvrelay" id pvrelay

    apt install /srv/second.deb
    rm "$root/var/lib/pvrelay/hub.db"
    apt purge --autoremove pvrelay
    assert_nothing_left
}

if [ "${1:-}" = --inside ]; then
    root=$2
    inside
    exit
fi

[ $# -eq 3 ] || fail "usage: fresh_package.sh DEB BIN_DIR ROOT_DIR"
deb=$1
bin=$2
begin_root "$3"
step "a bare Debian in $root"
make_root "$root" ca-certificates
"$bin/pvrelay-export-gen" --preset production --out "$root/srv/exports" >/dev/null
cp "$deb" "$root/srv/first.deb"
# The same once more, with a higher version.
dpkg-deb --raw-extract "$deb" "$root/srv/second"
sed -i 's/^\(Version: .*\)-1$/\1-2/' "$root/srv/second/DEBIAN/control"
dpkg-deb --root-owner-group --build "$root/srv/second" "$root/srv/second.deb" >/dev/null
unshare --mount --pid --fork --kill-child "$(command -v bash)" "${BASH_SOURCE[0]}" --inside "$root"
printf 'fresh_package: installed, ran, upgraded, purged: nothing is left\n'
