#!/usr/bin/env bash
# What the container tests need, on Debian 12, as root: a Docker Engine (not started), Compose v2, and
# two root file systems that stand in for the images python and redis, which no registry gives here; and
# a third, of Debian 13, with a podman that knows `kube play` (Debian 12 has 4.3, which is too old).
# What is there already is kept; delete .cache/containers to begin anew.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$repository/.cache/containers
mirror=http://deb.debian.org/debian
export DEBIAN_FRONTEND=noninteractive

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "install.sh needs root and apt-get" >&2
    exit 1
fi
mkdir -p "$target"
work=$(mktemp -d)
chmod 755 "$work"
policy=
trap 'rm -rf "$work" $policy' EXIT

engine() {
    if [[ -x /usr/sbin/dockerd && -x /usr/bin/docker ]] &&
        command -v debootstrap slirp4netns runc iptables ip >/dev/null; then
        return
    fi
    # The package would start an engine of the machine's; the tests start one of their own.
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update --quiet --quiet
    apt-get install --quiet --quiet --yes --no-install-recommends \
        debootstrap docker.io iproute2 iptables runc slirp4netns >/dev/null
}

# Debian 12 has Compose 1; the plugin of Debian 13 runs on it as well.
compose() {
    local plugins=$target/docker/cli-plugins
    if [[ -x $plugins/docker-compose ]]; then
        return
    fi
    echo "unpacking Compose v2 into $plugins"
    mkdir -p "$work/lists/partial" "$work/apt/archives/partial" "$work/debs" "$plugins"
    chmod 777 "$work/debs"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
        >"$work/trixie.list"
    local options=(
        -o "Dir::Etc::sourcelist=$work/trixie.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/apt" -o APT::Sandbox::User=root
    )
    apt-get "${options[@]}" --quiet --quiet update
    (cd "$work/debs" && apt-get "${options[@]}" --quiet --quiet download docker-compose docker-buildx)
    local package
    for package in "$work"/debs/*.deb; do
        dpkg-deb --extract "$package" "$work/debs/tree"
    done
    find "$work/debs/tree" -path '*/cli-plugins/docker-*' -type f -exec cp {} "$plugins" \;
    test -x "$plugins/docker-compose"
}

# The second is the first with Redis in it: one bootstrap for both.
root_file_systems() {
    if [[ -e $target/python.tar && -e $target/redis.tar ]]; then
        return
    fi
    echo "making the root file systems in $target"
    local root=$work/root
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        bookworm "$root" "$mirror" >"$target/debootstrap.log" 2>&1
    # This machine's authorities and pip's settings: without them a build may find no packages.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    if [[ -e /etc/pip.conf ]]; then
        cp /etc/pip.conf "$root/etc/pip.conf"
    fi
    ln -s python3 "$root/usr/bin/python"
    pack "$root" python.tar
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    chroot "$root" apt-get update --quiet --quiet
    chroot "$root" apt-get install --quiet --quiet --yes --no-install-recommends redis-server \
        >"$target/redis.log" 2>&1
    install --directory --owner=999 --group=1000 --mode=0755 "$root/data"
    pack "$root" redis.tar
}

podman() {
    if [[ -e $target/podman/.complete ]]; then
        return
    fi
    echo "making a root file system with podman in $target"
    # runc, for crun starts nothing where both versions of cgroups have controllers. catatonit is the
    # first process of pods, and aardvark-dns knows their names.
    debootstrap --variant=minbase \
        --include=podman,runc,conmon,netavark,aardvark-dns,catatonit,iproute2,nftables \
        trixie "$work/podman" "$mirror" >"$target/podman.log" 2>&1
    rm -rf "$work/podman"/var/cache/apt/* "$work/podman"/var/lib/apt/lists/*
    rm -rf "$target/podman"
    mv "$work/podman" "$target/podman"
    touch "$target/podman/.complete"
}

# pack ROOT NAME
pack() {
    rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,info,locale,man}/*
    tar --directory "$1" --one-file-system --create --file "$target/$2.part" .
    mv "$target/$2.part" "$target/$2"
}

engine
compose
root_file_systems
podman
