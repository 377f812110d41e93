#!/bin/sh
# `pattern-aggregates` for an installation under systemd: the daemon's program, settings and user, so that store and ledger
# are the daemon's own and stay readable for it. Install as /usr/local/bin/pattern-aggregates (docs/operations.md).
set -eu
export PATTERN_AGGREGATES_CONFIG=/etc/pattern-aggregates.toml
exec sudo --user pattern-aggregates --preserve-env=PATTERN_AGGREGATES_CONFIG \
  /opt/pattern-aggregates/bin/pattern-aggregates "$@"
