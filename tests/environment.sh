# Sourced by tests/run and tests/bench/run from the top of the checkout: what the machine must have, and the pinned clients.
# shellcheck shell=bash

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target" && target=$(cd "$target" && pwd) || exit 1
export PYTHONDONTWRITEBYTECODE=1

# install_missing TOOL:PACKAGE… — installs the packages of those tools (or files) that are not here (Debian, Ubuntu; as root or with sudo).
install_missing() {
  local missing="" pair root="" log
  for pair in "$@"; do
    [ -f "${pair%%:*}" ] || PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
  done
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv python3-pip"
  [ -n "$missing" ] || return 0
  echo "installing$missing" >&2
  [ "$(id -u)" = 0 ] || root=sudo
  log=$(mktemp) || return 1
  # shellcheck disable=SC2086 # a list of words
  if $root apt-get update -q >"$log" 2>&1 &&
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >>"$log" 2>&1; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    echo "cannot install$missing" >&2
    return 1
  fi
}

# The clients of tests/requirements.txt in a virtual environment: beside what was built, or in tests/.venv when that is in the
# checkout. Sets `clients_python`. Made once, and anew when the list or Python changes.
clients_environment() {
  local mark venv
  mark=$(python3 -V; cat tests/requirements.txt)
  mark=$(printf '%s' "$mark" | sha256sum | cut -c1-16)
  if [ -n "${CARGO_TARGET_DIR:-}" ]; then venv=$target/clients-$mark; else venv=$PWD/tests/.venv; fi
  clients_python=$venv/bin/python
  [ "$(cat "$venv/complete" 2>/dev/null)" != "$mark" ] || return 0
  echo "installing the clients of tests/requirements.txt" >&2
  rm -rf "$venv"
  python3 -m venv "$venv" && "$clients_python" -m pip install -q -r tests/requirements.txt >&2 && echo "$mark" >"$venv/complete"
}
