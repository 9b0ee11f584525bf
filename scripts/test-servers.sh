#!/usr/bin/env bash
# The S3, Azure and PostgreSQL servers that tests run against, on loopback, on free ports, with data that is thrown away.
#
#   bash scripts/test-servers.sh run CMD…   starts them, runs CMD with the variables below, stops them
#   bash scripts/test-servers.sh up         starts them and leaves them running
#   bash scripts/test-servers.sh env        prints the variables of those: eval "$(bash scripts/test-servers.sh env)"
#   bash scripts/test-servers.sh down       stops those
#
# Exported: AEGIS_TEST_S3_ENDPOINT, AEGIS_TEST_S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION;
#           AEGIS_TEST_AZURE_ENDPOINT, AEGIS_TEST_AZURE_CONTAINER, AZURITE_BLOB_STORAGE_URL (the endpoint again,
#           under the name that object_store's emulator mode reads);
#           AEGIS_TEST_POSTGRES (the URL of the server, without a database), AEGIS_TEST_POSTGRES_BIN (its programs,
#           for tests that start servers of their own to kill them).
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${AEGIS_CACHE:-$HOME/.cache/aegis}"
bucket=aegis-test
# The one that the API reference's examples name.
reference_bucket=oco-backups
access=aegis-test
secret=aegis-test-secret
attempts=5

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts a server in a session of its own, so that an interrupt reaches the tests first and the servers last.
launch() { # STATE NAME CMD…
  local state="$1" name="$2"
  shift 2
  setsid "$@" >"$state/$name.log" 2>&1 </dev/null &
  echo $! >"$state/$name.pid"
}

stop() { # STATE NAME [SIGNAL]
  local pid
  pid="$(cat "$1/$2.pid" 2>/dev/null)" || return 0
  rm -f "$1/$2.pid"
  kill -s "${3:-TERM}" "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# Until the port answers (0), the process is gone (1) or 20 s are over (1).
answers() { # STATE NAME PORT
  for _ in $(seq 200); do
    kill -0 "$(cat "$1/$2.pid")" 2>/dev/null || return 1
    (exec 3<>"/dev/tcp/127.0.0.1/$3") 2>/dev/null && return 0
    sleep 0.1
  done
  return 1
}

# A port that was free a moment ago may be taken: then the next one is tried.
serve() { # STATE NAME, with the function `command_NAME STATE PORT` filling the array `command`
  local state="$1" name="$2" port command
  for _ in $(seq "$attempts"); do
    port="$(free_port)"
    "command_$name" "$state" "$port"
    launch "$state" "$name" "${command[@]}"
    if answers "$state" "$name" "$port"; then
      echo "$port" >"$state/$name.port"
      return 0
    fi
    stop "$state" "$name"
  done
  echo "test-servers: $name did not start; its log ends:" >&2
  tail -n 20 "$state/$name.log" >&2
  return 1
}

command_s3() {
  mkdir -p "$1/s3/$bucket" "$1/s3/$reference_bucket"
  command=("$cache/bin/versitygw" --access "$access" --secret "$secret" --port "127.0.0.1:$2" posix "$1/s3")
}

command_azure() {
  command=(node "$cache/bin/azurite-blob" --silent --skipApiVersionCheck --disableTelemetry
    --inMemoryPersistence --blobHost 127.0.0.1 --blobPort "$2")
}

# PostgreSQL refuses to run as root: then it runs as the user that Debian's package made.
other_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
as_postgres() { if [ "$(id -u)" = 0 ]; then "${other_user[@]}" "$@"; else "$@"; fi; }

# The newest of the servers that are there.
postgres_bin() {
  local initdb
  initdb="$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)"
  [ -n "$initdb" ] || initdb="$(command -v initdb)" || { echo "test-servers: no initdb: run scripts/setup.sh postgres" >&2; return 1; }
  dirname "$(readlink -f "$initdb")"
}

# Its data lies apart, where the other user gets at it.
prepare_postgres() { # STATE
  local data
  data="$(mktemp -d "${TMPDIR:-/tmp}/aegis-postgres.XXXXXX")"
  echo "$data" >"$1/postgres.data"
  [ "$(id -u)" != 0 ] || chown postgres "$data"
  postgres_bin >"$1/postgres.bin" &&
    (cd "$data" && as_postgres "$(cat "$1/postgres.bin")/initdb" -D "$data/data" -A trust -U postgres --no-sync -E UTF8 \
      --locale=C.UTF-8) >"$1/postgres.log" 2>&1 || { tail -n 20 "$1/postgres.log" >&2; return 1; }
}

command_postgres() {
  local data
  data="$(cat "$1/postgres.data")"
  command=("$(cat "$1/postgres.bin")/postgres" -D "$data/data" -c listen_addresses=127.0.0.1 -c "port=$2"
    -c "unix_socket_directories=$data" -c fsync=off -c full_page_writes=off -c max_connections=400)
  [ "$(id -u)" != 0 ] || command=("${other_user[@]}" "${command[@]}")
}

write_env() { # STATE
  local s3 azure
  s3="http://127.0.0.1:$(cat "$1/s3.port")"
  azure="http://127.0.0.1:$(cat "$1/azure.port")"
  cat >"$1/env" <<END
export AEGIS_TEST_S3_ENDPOINT=$s3
export AEGIS_TEST_S3_BUCKET=$bucket
export AWS_ACCESS_KEY_ID=$access
export AWS_SECRET_ACCESS_KEY=$secret
export AWS_REGION=us-east-1
export AEGIS_TEST_AZURE_ENDPOINT=$azure
export AEGIS_TEST_AZURE_CONTAINER=$bucket
export AZURITE_BLOB_STORAGE_URL=$azure
export AEGIS_TEST_POSTGRES=postgres://postgres@127.0.0.1:$(cat "$1/postgres.port")
export AEGIS_TEST_POSTGRES_BIN=$(cat "$1/postgres.bin")
END
}

start_all() { # STATE
  prepare_postgres "$1" && serve "$1" postgres && serve "$1" s3 && serve "$1" azure &&
    python3 "$here/azure-container.py" "http://127.0.0.1:$(cat "$1/azure.port")" "$bucket" &&
    write_env "$1"
}

stop_all() { # STATE
  stop "$1" azure
  stop "$1" s3
  stop "$1" postgres INT
  [ ! -f "$1/postgres.data" ] || rm -rf "$(cat "$1/postgres.data")"
  rm -rf "$1"
}

standing="$cache/test-servers"

case "${1:-}" in
  up)
    if [ -f "$standing/env" ]; then
      echo "test-servers: already up (or left over from a crash: run down first)" >&2
      exit 1
    fi
    mkdir -p "$standing"
    start_all "$standing" || { stop_all "$standing"; exit 1; }
    cat "$standing/env"
    ;;
  env)
    cat "$standing/env" 2>/dev/null || { echo "test-servers: not up" >&2; exit 1; }
    ;;
  down)
    stop_all "$standing"
    ;;
  run)
    shift
    [ $# -gt 0 ] || { echo "usage: test-servers.sh run CMD…" >&2; exit 2; }
    state="$(mktemp -d "${TMPDIR:-/tmp}/aegis-servers.XXXXXX")"
    trap 'stop_all "$state"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_all "$state"
    # shellcheck source=/dev/null
    . "$state/env"
    "$@"
    ;;
  *)
    sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
