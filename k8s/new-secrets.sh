#!/bin/sh
# Prints the Secrets of a new installation, each with a password that was made a moment ago: those of
# the users of Redis, of Flower, and the token of the metrics. They go to the cluster and nowhere else:
#
#     k8s/new-secrets.sh | kubectl create --namespace siteferry -f -
#
# `create` refuses to write over what is there. `replace` in its place gives all of them new passwords;
# docs/kubernetes.md, "New passwords", tells what to start again then. The websites' logins are another
# Secret (docs/kubernetes.md, "Credentials").
#
# For a Redis outside (components/external-redis) name the certificate of its authority, which every
# client then gets beside its password: k8s/new-secrets.sh our-authority.pem
set -eu
authority=$([ $# -eq 0 ] || cat "$1")
cd "$(dirname "$0")"

password() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# hashed PASSWORD: as Redis wants it in an ACL file.
hashed() {
    printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

# secret NAME KEY VALUE...
secret() {
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n' "$1"
    printf '  labels: {app.kubernetes.io/part-of: siteferry}\ntype: Opaque\nstringData:\n'
    shift
    while [ $# -gt 0 ]; do
        printf '  %s: "%s"\n' "$1" "$2"
        shift 2
    done
}

# Lines for sed, and the lines of the Secret of the server: hashes, no passwords.
hashes=
for user in producer beat worker flower keda admin; do
    word=$(password)
    secret "siteferry-redis-$user" username "siteferry-$user" password "$word"
    if [ -n "$authority" ]; then
        printf '  ca.pem: |\n%s\n' "$authority" | sed '2,$s/^/    /'
    fi
    hashes="$hashes;s/#$(printf %s "$user" | tr '[:lower:]' '[:upper:]') /#$(hashed "$word") /"
done
word=$(password)
secret siteferry-redis-server probe-password "$word"
hashes="$hashes;s/#PROBE /#$(hashed "$word") /"
printf '  users.acl: |\n'
grep -h '^user ' ../config/redis-users.acl more-users.acl | sed -e "${hashes#;}" -e 's/^/    /'

secret siteferry-flower password "$(password)"
secret siteferry-metrics token "$(password)"
