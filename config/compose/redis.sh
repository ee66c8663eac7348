#!/bin/sh
# Redis of docker-compose.yml, with the users of config/redis-users.acl. Their passwords are secret
# files; only their SHA-256 is written, into memory, and nothing of them stands in a command line.
set -eu
umask 077

hash() {
    test -s "/run/secrets/redis-$1" || { echo "secrets/redis-$1 is missing or empty" >&2; exit 1; }
    tr -d '\n' < "/run/secrets/redis-$1" | sha256sum | cut -d ' ' -f 1
}
producer=$(hash producer)
beat=$(hash beat)
worker=$(hash worker)
flower=$(hash flower)
grep '^user ' /etc/siteferry/redis-users.acl | sed \
    -e "s/#PRODUCER /#$producer /" -e "s/#BEAT /#$beat /" \
    -e "s/#WORKER /#$worker /" -e "s/#FLOWER /#$flower /" > /run/redis/users.acl
# exec: Redis has to get the signals.
exec redis-server --dir /data --aclfile /run/redis/users.acl \
    --appendonly yes --save '' --maxmemory-policy noeviction
