#!/usr/bin/env bash
# Unpacks kubectl from Debian 13's package, without installing it: that of Debian 12 (1.20) is too old to
# know components, and one of 1.27 or later that is installed is used where it is. Needs apt and Debian's
# keyring; what is there already is kept.
#
#     tests/kubernetes/install.sh         into .cache/servers/kubectl (or $SITEFERRY_TEST_SERVERS)
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${SITEFERRY_TEST_SERVERS:-$repository/.cache/servers}/kubectl

if [[ -e $folder/.complete ]] || kubectl version --client 2>/dev/null | grep -q 'Kustomize Version: v5'; then
    exit
fi
command -v apt-get >/dev/null || {
    echo "install.sh needs apt-get: on this system install kubectl by hand" >&2
    exit 1
}

echo "unpacking kubectl into $folder"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
# apt downloads as its own user, who must be able to write here.
chmod 777 "$fresh"
mkdir -p "$fresh/lists/partial"
# The mirror that this machine uses, and lists of our own: the machine's stay as they are.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "main" && $1 !~ /security/ { print $1; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror trixie main" >"$fresh/sources.list"
options=(
    --quiet --quiet
    -o "Dir::State::lists=$fresh/lists"
    -o "Dir::Etc::sourcelist=$fresh/sources.list"
    -o Dir::Etc::sourceparts=-
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
)
apt-get "${options[@]}" update
(cd "$fresh" && apt-get "${options[@]}" download kubectl/trixie)
rm -rf "$folder"
mkdir -p "$folder"
dpkg-deb --extract "$fresh"/kubectl_*.deb "$folder"
touch "$folder/.complete"
