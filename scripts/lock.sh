#!/usr/bin/env bash
# Writes requirements/*.txt from *.in and pyproject.toml: hashed, for every platform, with no address in them.
# Pins that are there are kept; scripts/lock.sh --upgrade takes the newest, --upgrade-package NAME one of them.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

uv=$(python3 -I provisioner/target/get_uv.py .cache/bootstrap)

# Your own mirrors and wheels would put their hashes into everybody's locks.
unset PIP_FIND_LINKS UV_FIND_LINKS UV_INDEX UV_EXTRA_INDEX_URL

lock() { # NAME SOURCE...
  local name=$1
  shift
  "$uv" pip compile -q --no-config --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links -o "requirements/$name.txt" "${options[@]}" "$@"
}

options=("$@")
lock uv requirements/uv.in
lock tool pyproject.toml requirements/tool.in
lock dev pyproject.toml requirements/tool.in requirements/dev.in --constraint requirements/tool.txt
