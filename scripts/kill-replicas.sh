#!/usr/bin/env bash
# Three replicas over one PostgreSQL, a random one killed every two seconds: what tests/replicas.rs does, for long.
#
#   bash scripts/kill-replicas.sh [JOBS]     default: 10,000
#   AEGIS_TEST_SEED=N                        the same replicas again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export AEGIS_TEST_JOBS="${1:-10000}"
bash scripts/setup.sh postgres versitygw azurite
exec bash scripts/test-servers.sh run cargo test --locked --all-features -p aegis --test replicas -- --nocapture
