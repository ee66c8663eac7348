#!/bin/sh
# Redis of docker-compose.yml, with the users of config/redis-users.acl. Their passwords are secret
# files; only their SHA-256 is written, into memory, and nothing of them stands in a command line.
# Whatever is missing ends it: an empty word would let anybody in as that user, and so would a file
# without users.
set -eu
umask 077

carriage_return=$(printf '\r')

# printf is the shell's own; a line end at the end is no part of the word, as for siteferry.
hash() {
    word=$(cat "/run/secrets/redis-$1") || {
        echo "secrets/redis-$1 cannot be read by the user $(id -u): chmod 644 secrets/redis-$1" >&2
        exit 1
    }
    word=${word%"$carriage_return"}
    test -n "$word" || { echo "secrets/redis-$1 is empty" >&2; exit 1; }
    printf %s "$word" | sha256sum | cut -d ' ' -f 1
}
producer=$(hash producer)
beat=$(hash beat)
worker=$(hash worker)
flower=$(hash flower)
users=$(grep '^user ' /etc/siteferry/redis-users.acl) || {
    echo "config/redis-users.acl has no users, or cannot be read by the user $(id -u)" >&2
    exit 1
}
printf '%s\n' "$users" | sed \
    -e "s/#PRODUCER /#$producer /" -e "s/#BEAT /#$beat /" \
    -e "s/#WORKER /#$worker /" -e "s/#FLOWER /#$flower /" > /run/redis/users.acl
# exec: Redis has to get the signals.
exec redis-server --dir /data --aclfile /run/redis/users.acl \
    --appendonly yes --save '' --maxmemory "$MAXMEMORY" --maxmemory-policy noeviction
