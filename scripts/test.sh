#!/usr/bin/env bash
# Runs every test: sets up what is missing, starts the servers, counts. The last line is the result.
#
#   bash scripts/test.sh               all of them
#   bash scripts/test.sh ARG…          the arguments go to `cargo nextest run` (then no doc tests)
#   NEXTEST_PROFILE=ci                 the profile to use (.config/nextest.toml)
#   AEGIS_REQUIRE_ALL=1                a test that can't run here fails instead of being skipped
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh restic postgres curl jq openssl chromium promtool nextest versitygw azurite axe
export PATH="${AEGIS_CACHE:-$HOME/.cache/aegis}/bin:$PATH"

work="$(mktemp -d "${TMPDIR:-/tmp}/aegis-test.XXXXXX")"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export AEGIS_SKIP_LOG="$work/skipped"
: >"$AEGIS_SKIP_LOG"

# The tests of the server run this one.
cargo build --all-features --locked --example server

status=0
scope=()
[ $# -gt 0 ] || scope=(--workspace)
bash scripts/test-servers.sh run cargo nextest run "${scope[@]}" --all-features --locked --no-fail-fast "$@" 2>&1 |
  tee "$work/nextest" || status=1
if [ $# -eq 0 ]; then
  cargo test --workspace --all-features --locked --doc --no-fail-fast 2>&1 | tee "$work/doc" || status=1
else
  : >"$work/doc"
fi

echo
if [ -s "$AEGIS_SKIP_LOG" ]; then
  echo "Not run on this machine:"
  sort -u "$AEGIS_SKIP_LOG"
fi
python3 scripts/count-tests.py "$work/nextest" "$work/doc" "$AEGIS_SKIP_LOG" || status=1
exit "$status"
