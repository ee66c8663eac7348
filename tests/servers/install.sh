#!/usr/bin/env bash
# Unpacks the FTP servers, nginx, promtool and WordPress from Debian's packages, without installing
# them: the FTP servers conflict with one another as packages, and none of this needs root. Needs apt
# with its lists (`apt-get update` once). What is there already is kept; delete the folder to begin anew.
#
#     tests/servers/install.sh            everything into .cache/servers (or $SITEFERRY_TEST_SERVERS)
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${SITEFERRY_TEST_SERVERS:-$repository/.cache/servers}

command -v apt-get >/dev/null || {
    echo "install.sh needs apt-get: on this system install the servers by hand" >&2
    exit 1
}

# The packages asked for, and what they need of libraries that this machine lacks. A library that
# apt would only upgrade is left out: the installed one does. Scripts for a browser nobody needs.
closure() {
    printf '%s\n' "$@"
    apt-get --simulate --no-install-recommends install "$@" |
        sed -n '/^Inst libjs-/d; s/^Inst \(lib[^ ]*\) (.*/\1/p'
}

# unpack FOLDER PACKAGE...
unpack() {
    local folder=$target/$1 fresh
    shift
    if [[ -e $folder/.complete ]]; then
        return
    fi
    echo "unpacking $* into $folder"
    fresh=$(mktemp -d)
    # apt downloads as its own user, who must be able to write here.
    chmod 777 "$fresh"
    local packages
    packages=$(closure "$@" | sort -u)
    # shellcheck disable=SC2086  # one word for each package
    (cd "$fresh" && apt-get --quiet --quiet download $packages)
    rm -rf "$folder"
    mkdir -p "$folder"
    local package
    for package in "$fresh"/*.deb; do
        dpkg-deb --extract "$package" "$folder"
    done
    rm -rf "$fresh"
    touch "$folder/.complete"
}

# A server that is installed is used where it is.
installed() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" >/dev/null
}

installed vsftpd || unpack vsftpd vsftpd
installed proftpd || unpack proftpd proftpd-core proftpd-mod-crypto
installed pure-ftpd || unpack pureftpd pure-ftpd
installed nginx || unpack nginx nginx
installed promtool || unpack prometheus prometheus
unpack wordpress wordpress
