# What has to be on the machine, and how it gets there; for ./dev.
# shellcheck shell=bash

readonly postgres_min=15 nats_min=2.12 node_min=20

need_build_tools() {
  has cargo || fail "cargo not found: install Rust first (https://rustup.rs)"
  has cc || install_packages gcc libc6-dev
  # For the gateway's allocator.
  has make || install_packages make
}

need_servers() {
  has setpriv || install_packages util-linux
  has redis-server || install_packages redis-server
  has_postgres || install_packages postgresql
  has_postgres || fail "PostgreSQL $postgres_min or newer is needed, and this system has none: install it yourself"
  has_nats || need_wheel nats-server
}

need_node() {
  has node || fail "node not found: install Node $node_min or newer first"
  local version
  version=$(node --version)
  at_least "$node_min" "${version#v}" || fail "Node $node_min or newer is needed, this is $version"
  has_client || exclusively install_client
}

has_client() {
  cmp --silent e2e/package-lock.json e2e/node_modules/.lock-installed
}

install_client() {
  has_client && return
  say "installing the official Socket.IO client into e2e/node_modules"
  npm --prefix e2e ci --loglevel=error
  cp e2e/package-lock.json e2e/node_modules/.lock-installed
}

# exclusively COMMAND…: installs something while nobody else does. Who has waited finds it there, and has to look.
exclusively() {
  has flock || install_packages util-linux
  mkdir -p .local
  local lock
  exec {lock}>.local/installing.lock
  flock "$lock"
  "$@"
  exec {lock}>&-
}

need_chromium() {
  CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
  if [[ -z $CHROMIUM ]]; then
    install_packages chromium
    CHROMIUM=$(command -v chromium) || fail "chromium not found: set CHROMIUM to the path of a Chromium"
  fi
  export CHROMIUM
}

need_local_stack() {
  [[ -x $bin/local-stack ]] && return
  need_build_tools
  build --quiet -p local-stack
}

# A program that comes as a wheel, unpacked into .local/bin; its version and hashes stand in local-stack/tools.
need_wheel() {
  has_wheel "$1" || exclusively fetch_wheel "$1"
}

has_wheel() {
  cmp --silent "local-stack/tools/$1.txt" ".local/bin/.$1.txt"
}

fetch_wheel() {
  local name=$1 pinned=local-stack/tools/$1.txt
  has_wheel "$name" && return
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
  say "fetching $name into .local/bin"
  mkdir -p .local/bin
  local wheel
  wheel=$(mktemp -d .local/wheel.XXXXXX)
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --dest "$wheel" --requirement "$pinned" || fail "cannot fetch $name (see $pinned)"
  unpack_program "$wheel" "$name"
  rm -r "$wheel"
  cp "$pinned" ".local/bin/.$name.txt"
}

unpack_program() {
  local folder=$1 name=$2
  python3 -m zipfile --extract "$folder"/*.whl "$folder/content"
  chmod +x "$folder"/content/*.data/scripts/"$name"
  mv "$folder"/content/*.data/scripts/"$name" ".local/bin/$name"
}

install_packages() {
  has apt-get || fail "please install: $*"
  say "installing $* (apt)"
  as_root apt-get update --quiet=2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$@" >&2
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "to install packages this needs root or sudo"
  fi
}

has_nats() {
  [[ -n ${NATS_SERVER:-} ]] && return
  has nats-server || return 1
  local version
  version=$(nats-server --version) || return 1
  at_least "$nats_min" "${version##*v}"
}

# Debian keeps it off the PATH, one folder for each version.
has_postgres() {
  local folder version
  for folder in /usr/lib/postgresql/*/; do
    version=$(basename "$folder")
    [[ -x ${folder}bin/postgres ]] && at_least "$postgres_min" "$version" && return
  done
  has postgres || return 1
  version=$(postgres --version)
  version=${version#*) }
  at_least "$postgres_min" "${version%% *}"
}
