#!/usr/bin/env bash
# Installs what the tests need beside Rust, Go, Node and Python; quick when all of it is there.
#
#   bash scripts/setup.sh          everything
#   bash scripts/setup.sh NAME…    only: restic, postgres, curl, jq, openssl, chromium, promtool, nextest, deny, versitygw,
#                                  azurite, axe, yaml
#
# Debian's packages go where Debian puts them; everything else goes to a cache outside of the clone
# (AEGIS_CACHE, default ~/.cache/aegis). Only package registries are asked.
set -euo pipefail

NEXTEST=0.9.151
DENY=0.20.2
VERSITYGW=v1.8.0
AZURITE=3.35.0
AXE=4.14.1

cache="${AEGIS_CACHE:-$HOME/.cache/aegis}"
bin="$cache/bin"
mkdir -p "$bin" "$cache/stamps"

say() { printf 'setup: %s\n' "$*"; }

# A stamp is written last, so a tool whose installation was interrupted is installed again.
has() { [ -x "$2" ] && [ "$(cat "$cache/stamps/$1" 2>/dev/null)" = "$3" ]; }
stamp() { printf '%s\n' "$2" >"$cache/stamps/$1"; }

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

debian() { # PACKAGE
  say "$1, from Debian"
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -qq -y --no-install-recommends "$1" >/dev/null
}

install_restic() { command -v restic >/dev/null || debian restic; }
install_curl() { command -v curl >/dev/null || debian curl; }
install_openssl() { command -v openssl >/dev/null || debian openssl; }
install_jq() { command -v jq >/dev/null || debian jq; }
install_chromium() { command -v chromium >/dev/null || debian chromium; }

install_postgres() {
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || debian postgresql
}

# Only the checker is taken out of Debian's package, which would start a server of its own.
install_promtool() {
  command -v promtool >/dev/null || [ -x "$bin/promtool" ] && return
  say "promtool, out of Debian's package prometheus"
  "${sudo[@]}" apt-get update -qq
  local work
  work="$(mktemp -d "$cache/promtool.XXXXXX")"
  if ! (cd "$work" && apt-get download -qq prometheus && dpkg-deb --extract prometheus_*.deb .); then
    rm -rf "$work"
    return 1
  fi
  mv "$work/usr/bin/promtool" "$bin/promtool"
  rm -rf "$work"
}

# Python's reader of YAML.
install_yaml() { python3 -c 'import yaml' 2>/dev/null || debian python3-yaml; }

# These tools run for seconds, so they are built to be built fast. rustc's own linker is quick enough.
cargo_tool() { # NAME VERSION [FEATURE FLAGS…]
  local name="$1" version="$2"
  shift 2
  has "$name" "$bin/$name" "$version" && return
  say "$name $version, built once (a few minutes)"
  local build
  build="$(mktemp -d "$cache/build.XXXXXX")"
  CARGO_TARGET_DIR="$build" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_INCREMENTAL=0 RUSTFLAGS= \
    cargo install --quiet --locked --force --root "$cache" --version "$version" "$@" "$name" || { rm -rf "$build"; return 1; }
  rm -rf "$build"
  stamp "$name" "$version"
}

install_nextest() { cargo_tool cargo-nextest "$NEXTEST" --no-default-features --features default-no-update; }
install_deny() { cargo_tool cargo-deny "$DENY"; }

install_versitygw() {
  has versitygw "$bin/versitygw" "$VERSITYGW" && return
  say "versitygw $VERSITYGW, built once (about two minutes)"
  GOBIN="$bin" GOFLAGS= go install -ldflags='-s -w' "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW"
  stamp versitygw "$VERSITYGW"
}

install_azurite() {
  local dir="$cache/azurite-$AZURITE"
  has azurite "$dir/node_modules/.bin/azurite-blob" "$AZURITE" && return
  say "azurite $AZURITE, from npm"
  mkdir -p "$dir"
  npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$dir" "azurite@$AZURITE" >/dev/null
  ln -sfn "$dir/node_modules/.bin/azurite-blob" "$bin/azurite-blob"
  stamp azurite "$AZURITE"
}

# What finds where a page keeps out people who don't see it or use no mouse; a test runs it in the page.
install_axe() {
  has axe "$cache/axe.min.js" "$AXE" && return
  say "axe $AXE, from npm"
  local work
  work="$(mktemp -d "$cache/axe.XXXXXX")"
  npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$work" "axe-core@$AXE" >/dev/null
  install "$work/node_modules/axe-core/axe.min.js" "$cache/axe.min.js"
  rm -rf "$work"
  stamp axe "$AXE"
}

[ $# -gt 0 ] || set -- restic postgres curl jq openssl chromium promtool nextest versitygw azurite axe deny yaml
for tool in "$@"; do
  case "$tool" in
    restic | postgres | curl | jq | openssl | chromium | promtool | nextest | deny | versitygw | azurite | axe | yaml)
      "install_$tool" ;;
    *) printf 'setup: no such tool: %s\n' "$tool" >&2; exit 2 ;;
  esac
done
