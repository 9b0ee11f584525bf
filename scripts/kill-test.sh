#!/usr/bin/env bash
# Kills the quickstart at random moments, each run finding what the one before left; then one run must end well.
#
#   bash scripts/kill-test.sh [ROUNDS] [PATH]     default: 5 rounds over a small tree of its own
#   QUICKSTART=FILE                               the program; built if it is not named
#   SEED=N                                        the same moments again
#
# Besides, nothing half-made may count: each recovery point that is left restores (the run itself checks the newest),
# and restic, where it is installed, finds the repository sound.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rounds="${1:-5}"
seed="${SEED:-$RANDOM}"
RANDOM="$seed"
work="$(mktemp -d "${TMPDIR:-/tmp}/aegis-kill.XXXXXX")"
trap 'rm -rf "$work"' EXIT

program="${QUICKSTART:-}"
if [ -z "$program" ]; then
  cargo build --locked --release --example quickstart
  program="${CARGO_TARGET_DIR:-target}/release/examples/quickstart"
fi
program="$(realpath "$program")"

path="${2:-$work/sample}"
[ -e "$path" ] || python3 .ci/sample-tree.py "$path"

echo "killing $rounds times (SEED=$seed)"
killed=0
for round in $(seq "$rounds"); do
  "$program" "$path" --data-dir "$work/data" >"$work/log" 2>&1 &
  pid=$!
  delay="$(printf '%d.%03d' $((RANDOM % 22)) $((RANDOM % 1000)))"
  sleep "$delay"
  # Ended before: then it must have ended well.
  if kill -9 "$pid" 2>/dev/null; then
    killed=$((killed + 1))
    wait "$pid" 2>/dev/null || true
    echo "round $round: killed after $delay s, at: $(grep -E '^[0-9]  ' "$work/log" | tail -n 1)"
  else
    wait "$pid" || { cat "$work/log"; echo "round $round: ended by itself, and badly"; exit 1; }
    echo "round $round: had ended well before $delay s"
  fi
done
[ "$killed" -gt 0 ] || { echo "nothing was killed: every run ended first"; exit 1; }

timeout 900 "$program" "$path" --data-dir "$work/data"
if command -v restic >/dev/null; then
  restic --repo "$work/data/backups/repository" --password-file "$work/data/repository.key" --no-cache check --read-data
else
  echo "restic is not installed: its look at the repository is left out"
fi
echo "killed $killed times, then ended well"
