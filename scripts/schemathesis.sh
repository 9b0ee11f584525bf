#!/usr/bin/env bash
# Tries the API out with requests made from its own OpenAPI document: no answer may be a 5xx, of a status that the
# document does not name, or of another form than it says.
#
#   bash scripts/schemathesis.sh [EXAMPLES]     examples per operation (default 15)
#
# The router runs over an engine in memory and a real socket. The tool is installed into $AEGIS_CACHE (default
# ~/.cache/aegis). The requests are the same each time, so that a finding is found again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache="${AEGIS_CACHE:-$HOME/.cache/aegis}"
version=4.32.5
tool="$cache/schemathesis-$version/bin/schemathesis"
if [ ! -x "$tool" ]; then
  rm -rf "$cache/schemathesis-$version"
  python3 -m venv "$cache/schemathesis-$version"
  "$cache/schemathesis-$version/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/aegis-schemathesis.XXXXXX")"
server=
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT

cargo build --locked --workspace --all-features --example in_memory
"${CARGO_TARGET_DIR:-target}/debug/examples/in_memory" >"$work/server.json" 2>"$work/server.log" &
server=$!
for _ in $(seq 300); do
  [ ! -s "$work/server.json" ] || break
  kill -0 "$server" || { cat "$work/server.log"; exit 1; }
  sleep 0.2
done

address="$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$work/server.json")"

# /events is a WebSocket: it is tested in Rust.
"$tool" run "http://$address/openapi.json" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
  --exclude-path /api/v1/events --phases coverage,fuzzing --max-examples "${1:-15}" \
  --generation-deterministic --suppress-health-check all --continue-on-failure --workers 2
