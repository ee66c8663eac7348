"""The texts that `siteferry init` writes: pure functions, so that a test can read them back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9._/@-]*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off"})

SETTINGS_TEXT = """\
# Settings of siteferry. Every key may be left out; the values shown are the defaults.
# ${VAR} and ${VAR:-default} take values from the environment; a plain ${ is written $${.
# `siteferry config check` tells what is wrong here, `siteferry config schema settings` prints
# the JSON Schema. Relative paths start from the folder above `config/`.

paths:
  workspaces: workspaces             # the websites' files: <workspaces>/<workspace>/<source>
  websites: config/websites          # one file for each website

redis:
  url: null                          # redis://, rediss:// or unix://; null: a private server
  # username: siteferry
  # password: ${credential:redis/PASSWORD}   # or ${VAR}; SITEFERRY_REDIS_PASSWORD goes before
  # password_file: /run/secrets/redis-password
  # ca_file: /etc/ssl/our-authority.pem      # for rediss://; default: the system's authorities
  # cert_file: /etc/siteferry/redis.pem      # our own, for a server that asks for one
  # key_file: /etc/siteferry/redis.key
  # verify: true                     # false: any certificate is accepted
  key_prefix: "siteferry:"
  keep_runs: 30d                     # how long a run is known after its end; at least 1h
  patience_seconds: 10               # how long a command waits for a Redis that is away

credentials:
  backend: file                      # file, environment, mounted, vault, aws, gcp, azure, chain:
                                     # the store for references that name none
  cache_seconds: 30                  # how long a worker keeps what it has fetched
  # chain: [mounted, file]           # the stores that `chain` asks, in this order
  file:
    path: credentials/store.json     # encrypted
    # key_file: ~/.config/siteferry/credentials.key
  mounted: {directory: /run/secrets}
  # vault: {url: https://vault.example.com:8200, auth: approle, role_id: …}

# Merged under every website file; the same shape, without `website` and logins.
defaults:
  ftp:
    security: explicit               # also for old `hostinger:` files: never go on in plain
    max_connections: 8
    timeouts: {connect: 15, control: 60, data: 60}   # seconds without any sign of life

# Connections that one address admits for all its accounts together.
address_limits: {}                   # ftp.example.com: 8
connects_per_second: 10              # new connections to one address within a second

log:
  # level: info                      # debug, info, warning, error, critical; by default
                                     # workers say info and more, other commands warnings
  format: text                       # text, json

# state_dir: ~/.local/state/siteferry        # the private server's data
# health_dir: ~/.local/state/siteferry/health # where workers write for siteferry-probe

batch:                               # how many small files make one task
  files: 64
  bytes: 8MiB

worker:
  concurrency: 8                     # threads of one worker
  idle_seconds: 3                    # how long a session waits for its next item
  task_seconds: 60                   # after which a task that sends a long file lets others go
  grace_seconds: 30                  # how long it may take to stop

metrics:                             # for Prometheus; told by `siteferry beat`
  enabled: true
  listen: 127.0.0.1:9808             # other than loopback only with a token
  # token: ${credential:metrics/TOKEN}       # or ${VAR}; SITEFERRY_METRICS_TOKEN goes before
  # token_file: /run/secrets/metrics-token
  # cert_file: /etc/siteferry/metrics.pem    # then it is https
  # key_file: /etc/siteferry/metrics.key

flower:                              # `siteferry flower`: the tasks of all workers on a web page
  address: 127.0.0.1                 # where it listens; 0.0.0.0: on all addresses
  port: 5555
  url_prefix: ""                     # flower: it stands below /flower of a proxy
  user: siteferry                    # who logs in; without a password it does not start:
  # password_file: /run/secrets/flower-password   # SITEFERRY_FLOWER_PASSWORD goes before
  # password: ${credential:flower/PASSWORD}       # or ${VAR}, in its place
  read_only: true                    # false: whoever logs in may stop workers and take back tasks
  max_tasks: 10000                   # how many tasks it remembers, in memory only
  purge_offline_workers: 10m         # how long it shows a worker that has gone
"""


@dataclass(frozen=True, slots=True)
class FirstWebsite:
    """What a first website file needs to know. `user` None: the name is in the credential store."""

    site: str
    host: str
    user: str | None
    remote_dir: str
    workspace: str
    source: str
    security: str

    def text(self) -> str:
        """The file's content, commented; it holds a reference in place of the password."""
        user = f"${{credential:{self.site}/FTP_USERNAME}}" if self.user is None else _of(self.user)
        return f"""\
# Website {self.site}. All keys: siteferry config schema; check with: siteferry config check
website:
  name: {_of(self.site)}
  workspace: {_of(self.workspace)}    # folder below paths.workspaces

ftp:
  host: {_of(self.host)}
  security: {self.security}    # explicit (AUTH TLS), implicit, none, or auto
  username: {user}
  # The password stays out of this file: it is fetched from the credential store.
  password: ${{credential:{self.site}/FTP_PASSWORD}}
  remote_dir: {_of(self.remote_dir)}
  max_connections: 8    # what the host allows for one account

sources:
  - path: {_of(self.source)}    # inside the workspace

exclude: [".git/"]    # gitignore rules
protect: [".well-known/"]    # never deleted or replaced on the server
"""


def _of(text: str) -> str:
    """A text as YAML; a `${` in it is kept from being taken for a variable."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return json.dumps(text, ensure_ascii=False).replace("${", "$${")
