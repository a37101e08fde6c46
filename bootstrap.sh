#!/usr/bin/env bash
# Prepares provision's own environment once, then becomes provision: ./bootstrap.sh up
# Needs bash and the python3 of the release; no pip, no venv package, no root. Later calls only compare a digest.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./bootstrap.sh VERB [OPTION...]     runs `provision VERB`, for example: ./bootstrap.sh up
       ./bootstrap.sh test [TIER...]       runs every test tier this machine can (--list names them)

The first call prepares an environment of the tool's own: .venv in a checkout of yours, otherwise a folder in
your cache. PIP_INDEX_URL, SSL_CERT_FILE and https_proxy are honoured.
TEXT
}

say() { printf 'bootstrap: %s\n' "$*" >&2; }

die() {
  printf 'bootstrap: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '  %s\n' "$2" >&2
  exit 1
}

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
locks=("$root/pyproject.toml" "$root/requirements/uv.txt" "$root/requirements/tool.txt" "$root/requirements/dev.txt")

# WSL adds Windows' PATH, whose python3 and git are none of this system's. Its disks are slow, and have no room for
# links and modes.
on_windows() { # PATH
  [ "$wsl" = yes ] || return 1
  case $1/ in /mnt/[A-Za-z]/*) return 0 ;; esac
  case $(df --output=fstype -- "$1" 2>/dev/null) in *9p* | *drvfs* | *virtiofs*) return 0 ;; esac
  return 1
}

linux_path() {
  local folder kept='' folders
  IFS=: read -ra folders <<<"$PATH"
  for folder in "${folders[@]}"; do
    on_windows "$folder" || kept=$kept${kept:+:}$folder
  done
  printf %s "$kept"
}

case $(uname -r 2>/dev/null) in *icrosoft*) wsl=yes ;; *) wsl=no ;; esac
[ "$wsl" = no ] || PATH=$(linux_path)

# A checkout of someone else (sudo, a shared or read-only one) stays as it is, and so does one on Windows' disk.
if [ -O "$root" ] && [ -w "$root" ] && ! on_windows "$root"; then
  state=$root/.cache/bootstrap
  venv=$root/.venv
else
  [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || die "no place for the environment: neither HOME nor XDG_CACHE_HOME is set"
  state=${XDG_CACHE_HOME:-$HOME/.cache}/provisioner/bootstrap-$(printf '%s' "$root" | sha256sum | cut -c1-12)
  venv=$state/venv
fi
stamp=$venv/.provision-stamp

# The environment is trusted when its stamp, written last, holds the digest of everything it was made from.
# A dev environment serves `provision` too.
ready() { # KIND
  local have_kind have_digest
  [ -x "$venv/bin/python" ] && read -r have_kind have_digest 2>/dev/null <"$stamp" || return 1
  [ "$have_digest" = "$digest" ] && { [ "$have_kind" = "$1" ] || [ "$have_kind" = dev ]; }
}

find_python() {
  # Without the standard library (python3-minimal) it is as good as missing.
  if ! python3 -c 'import shutil, ssl, zipfile' 2>/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
      say "python3 is missing: installing it with apt-get"
      # A third party's broken index is no reason to stop: the install says what it lacks.
      apt-get -qq update >&2 || say "apt-get update complained; trying all the same"
      DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 >/dev/null ||
        die "python3 could not be installed" "see what apt-get said above"
    else
      die "python3 is missing" "run: sudo apt-get install python3"
    fi
  fi
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' ||
    die "python3 is older than 3.8 ($(python3 --version 2>&1))" "use Debian 11 or Ubuntu 20.04, or newer"
}

# uv reads other names than pip for the same things, and no system certificates unless told.
share_settings() {
  local bundle=/etc/ssl/certs/ca-certificates.crt
  [ -n "${SSL_CERT_FILE:-}" ] || SSL_CERT_FILE=${PIP_CERT:-}
  [ -n "$SSL_CERT_FILE" ] || [ ! -r "$bundle" ] || SSL_CERT_FILE=$bundle
  if [ -n "$SSL_CERT_FILE" ]; then export SSL_CERT_FILE; else unset SSL_CERT_FILE; fi
  if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    export UV_DEFAULT_INDEX=$PIP_INDEX_URL
  fi
  if [ -n "${PIP_EXTRA_INDEX_URL:-}" ] && [ -z "${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}" ]; then
    export UV_INDEX=$PIP_EXTRA_INDEX_URL
  fi
  # An activated environment is none of ours.
  unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
}

make_environment() { # KIND
  local uv start=$SECONDS
  share_settings
  find_python
  ! on_windows "$root" ||
    say "this checkout lies on a disk of Windows, which is slow: clone it below your Linux home for faster starts"
  say "preparing the tool's own environment in $venv (once; about 60 MB, seconds on a fast line)"
  uv=$(python3 -I "$root/provisioner/target/get_uv.py" "$state" --requirement "$root/requirements/uv.txt") || exit 1
  # The half-made one must not be taken for whole, so the stamp goes first and comes last.
  rm -f -- "$stamp"
  "$uv" venv -q --clear --python '>=3.11,<3.14' --python-preference system "$venv" ||
    die "no Python 3.11 to 3.13, and uv could not get one" "install one, for example: apt-get install python3.11"
  say "installing the locked packages ($1) after $((SECONDS - start)) s"
  VIRTUAL_ENV=$venv "$uv" pip sync -q --require-hashes "$root/requirements/$1.txt" ||
    die "the locked packages could not be installed" "check the network, https_proxy, PIP_INDEX_URL and SSL_CERT_FILE, then start again"
  VIRTUAL_ENV=$venv "$uv" pip install -q --offline --no-deps --no-build-isolation --editable "$root" ||
    die "provision itself could not be installed into $venv" "the lines above say why; a clean checkout helps"
  printf '%s %s\n' "$1" "$digest" >"$stamp.new"
  mv -f -- "$stamp.new" "$stamp"
  say "ready after $((SECONDS - start)) s"
}

prepare() { # KIND
  digest=$( (cd -- "$root" && sha256sum -- "${locks[@]}" && printf '%s' "$root") | sha256sum)
  digest=${digest%% *}
  ready "$1" && return
  mkdir -p -- "$state" || die "cannot make $state" "choose another place with XDG_CACHE_HOME"
  local kind=$1
  # Two first calls at once: the second waits, and finds the work done.
  exec 9>"$state/lock"
  flock -n 9 || { say "another call is preparing the environment: waiting for it" && flock 9; }
  # A contributor's environment stays one when the locks change.
  case $(head -c 3 -- "$stamp" 2>/dev/null) in dev) kind=dev ;; esac
  ready "$kind" || (make_environment "$kind" 9>&-)
  exec 9>&-
}

case ${1:-} in
  '' | -h | --help | help)
    usage
    ;;
  test)
    shift
    prepare dev
    cd -- "$root"
    exec "$venv/bin/python" -m tests.tiers "$@"
    ;;
  *)
    prepare tool
    exec "$venv/bin/provision" "$@"
    ;;
esac
