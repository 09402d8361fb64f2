#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots the machine's own systemd inside namespaces, over a throw-away copy-on-write view of /, and runs a command in it as root.
#
#   systemd_sandbox.sh [--share DIR]... COMMAND [ARGUMENT...]
#
# --share DIR is the only thing that is the same inside and outside: it can be written to from both. All else that is written inside is
# gone afterwards. The command's output and exit code are passed on; 77 and one line: here it cannot boot, for that reason.
# SANDBOX_SECONDS (default 120): then all of it is killed.
#
# DESIGN
#
# What must hold, because systemd as PID 1 takes what it can get: it is alone in a cgroup of its own that it sees as the root (outside, it would move every
# process of the machine into its own groups); /proc/sys and /sys cannot be written (they are the machine's, not the namespace's); its /dev
# has seven harmless devices. The machine's units and generators are covered by empty folders: only what the command installs,
# at the very places where a package puts it, and empty stand-ins for the targets that every unit orders itself by. So there is no journal and no bus;
# systemctl talks to PID 1 directly.
# Processes: timeout, unshare (kills its child when it dies), PID 1. Whoever of them dies, all inside die: it is one PID namespace.
set -euo pipefail
export LC_ALL=C.UTF-8

skip() {
    printf 'no sandbox: %s\n' "$*"
    exit 77
}

# ---- Outside

find_systemd() {
    local path
    for path in /usr/lib/systemd/systemd /lib/systemd/systemd; do
        [ ! -x $path ] || { printf '%s\n' $path && return; }
    done
}

clean_up() {
    local tries
    [ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill" || true
    for ((tries = 0; tries < 50; tries++)); do
        [ -d "$cgroup" ] || break
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    rm -rf --one-file-system "$work"
}

outside() {
    local hierarchy systemd program code=0
    [ "$(uname -s)" = Linux ] || skip "this is not Linux"
    [ "$(id -u)" -eq 0 ] || skip "not root"
    systemd=$(find_systemd)
    [ -n "$systemd" ] || skip "systemd is not installed"
    for program in unshare setpriv timeout pivot_root systemctl findmnt; do
        command -v $program >/dev/null || skip "$program is not installed"
    done
    hierarchy=$(findmnt --noheadings --first-only --output TARGET --types cgroup2 || true)
    [ -n "$hierarchy" ] || skip "no cgroup v2"
    grep -qw overlay /proc/filesystems || skip "no overlayfs"
    unshare --mount --cgroup --pid --ipc --uts --net --fork true 2>/dev/null || skip "namespaces cannot be made"
    cgroup=$hierarchy/pvrelay-sandbox-$$
    mkdir "$cgroup" 2>/dev/null || skip "no cgroup can be made in $hierarchy"
    work=$(mktemp -d /tmp/pvrelay-sandbox.XXXXXX)
    trap clean_up EXIT
    touch "$work/console" "$work/output"
    # The first shell joins the cgroup; only then a cgroup namespace that begins there can be made.
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout --kill-after=2 "${SANDBOX_SECONDS:-120}" unshare --pid --fork --kill-child=KILL \
        bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec unshare --mount --cgroup --ipc --uts --net --mount-proc "$@"' sandbox \
        "$cgroup" "$BASH" "${BASH_SOURCE[0]}" --inside "$systemd" "$work" ${#shared[@]} ${shared[@]+"${shared[@]}"} "$@" \
        </dev/null >"$work/boot" 2>&1 || code=$?
    cat "$work/output"
    # 124, 137: the time was up. Without output the command did not even begin.
    if [ $code -eq 124 ] || [ $code -eq 137 ] || { [ $code -ne 0 ] && [ ! -s "$work/output" ]; }; then
        printf -- '---- the sandbox ended with %d; its console:\n' $code
        tail -n 40 "$work/boot" "$work/console"
    fi
    exit $code
}

# ---- Inside: PID 1 of the new namespaces, still with a view of the machine's files

# Cover a folder of the machine by an empty one that can be written to.
cover() {
    [ ! -d "$root$1" ] || mount -t tmpfs -o "mode=${2:-755}" sandbox "$root$1"
}

make_cgroup() {
    local members
    umount --recursive /sys/fs/cgroup 2>/dev/null || umount --lazy /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mapfile -t members </sys/fs/cgroup/cgroup.procs
    [ "${members[*]}" = 1 ] && [ -e /sys/fs/cgroup/cgroup.type ] || # the machine's root group has no type
        skip "the cgroup is not ours alone: ${members[*]}"
}

make_devices() {
    local name
    cover /dev
    for name in null zero full random urandom tty; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    : >"$root/dev/kmsg"
    mount --bind /dev/null "$root/dev/kmsg"
    : >"$root/dev/console"
    mount --bind "$work/console" "$root/dev/console"
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs -o mode=1777 sandbox "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 sandbox "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
}

make_root() {
    local folder
    mount -t tmpfs -o mode=755 sandbox /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    root=/mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work sandbox $root
    mount -t proc proc $root/proc
    mount --bind $root/proc/sys $root/proc/sys
    mount -o remount,bind,ro $root/proc/sys
    mount -t sysfs -o ro sysfs $root/sys
    mount --move /sys/fs/cgroup $root/sys/fs/cgroup
    make_devices
    cover /run
    cover /tmp 1777
    for folder in /usr/lib/systemd/system /usr/lib/systemd/system-generators /etc/systemd/system /etc/systemd/system-generators \
        /usr/local/lib/systemd; do
        cover $folder
    done
}

make_units() {
    local units=$root/etc/systemd/system target argument words=
    for target in sysinit basic shutdown network network-online multi-user; do
        printf '[Unit]\nDescription=Stand-in\nDefaultDependencies=no\n' >"$units/$target.target"
    done
    for argument in "$@"; do
        argument=${argument//\\/\\\\}
        argument=${argument//\"/\\\"}
        argument=${argument//%/%%}
        words+="${words:+ }\"$argument\""
    done
    : >"$root/run/output"
    mount --bind "$work/output" "$root/run/output"
    printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'SuccessAction=exit-force' 'FailureAction=exit-force' '[Service]' 'Type=oneshot' \
        'Environment=LC_ALL=C.UTF-8 PVRELAY_SANDBOX=1' "ExecStart=:$words" 'StandardOutput=append:/run/output' \
        'StandardError=append:/run/output' >"$units/sandbox.service"
}

inside() {
    local systemd=$1 count=$3 folder
    work=$2
    shift 3
    [ $$ -eq 1 ] && grep -q '^0::/$' /proc/self/cgroup || skip "not PID 1 of a cgroup namespace"
    make_cgroup
    make_root
    for folder in "${@:1:count}"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    shift "$count"
    make_units "$@"
    cd $root
    pivot_root . mnt
    umount --lazy /mnt
    # These would reach beyond the namespaces.
    exec env -i container=pvrelay-sandbox PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set -sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog "$systemd" --system --unit=sandbox.service \
        --log-target=console --log-level=info --show-status=no --dump-core=no --crash-reboot=no
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
fi
shared=()
while [ "${1:-}" = --share ]; do
    shared+=("$(cd "$2" && pwd)")
    shift 2
done
[ $# -ge 1 ] || { printf 'usage: systemd_sandbox.sh [--share DIR]... COMMAND [ARGUMENT...]\n' >&2 && exit 1; }
outside "$@"
