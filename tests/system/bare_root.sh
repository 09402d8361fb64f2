# SPDX-License-Identifier: MIT
# A bare Debian 12 in a folder, for the tests that need one; to be sourced by bash. $name: of the test, for its messages.

fail() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

# First archive of Debian's main in the machine's apt sources that has this release.
mirror() {
    # shellcheck disable=SC2016 # apt's own format, not the shell's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$1" '$2 == release && $3 == "main" { print $1; exit }'
}

clean_up() {
    if [ "${KEEP:-0}" != 1 ]; then
        rm -rf --one-file-system "$root" "$root.log"
    fi
}

# begin_root DIR: sets root, a folder that is made here, and removed when the test ends (unless KEEP=1).
begin_root() {
    [ "$(id -u)" -eq 0 ] || fail "needs root: debootstrap and chroot do"
    [ ! -e "$1" ] || fail "$1 exists already: name a folder that does not"
    mkdir -p "$1"
    root=$(cd "$1" && pwd)
    trap clean_up EXIT
}

# make_root DIR PACKAGE,...: fill it. The mirror and all that apt needs to reach it are the machine's own.
make_root() {
    local root=$1 packages=$2 release=bookworm from path
    from=$(mirror $release)
    [ -n "$from" ] || fail "no apt source of this machine has Debian's $release main"
    debootstrap --variant=minbase --include="$packages" $release "$root" "$from" >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2 && fail "debootstrap failed"; }
    rm -f "$root/etc/apt/sources.list"
    for path in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d \
        /etc/apt/keyrings /usr/share/keyrings; do
        [ ! -e $path ] || cp -a $path "$root$(dirname $path)/"
    done
}

# in_root DIR COMMAND...: run it there, with nothing of this environment but the way to the network.
in_root() {
    local root=$1
    shift
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        chroot "$root" "$@"
}
