#!/bin/sh
# How long `make demo` and `make test` take for somebody who has just cloned the repository.
#   bench/fresh_clone.sh             clones this repository's HEAD into an empty folder, and removes it afterwards
#   bench/fresh_clone.sh URL         clones another one
#   KEEP=1 bench/fresh_clone.sh      leaves the folder
# Only what is committed is cloned. pip's own cache is used where there is one: PIP_NO_CACHE_DIR=1 leaves it out.
set -eu

from=${1:-$(git -C "$(dirname "$0")" rev-parse --show-toplevel)}
folder=$(mktemp -d "${TMPDIR:-/tmp}/wardstream-fresh-XXXXXX")
clean() { [ -n "${KEEP:-}" ] || rm -rf "$folder"; }
trap clean EXIT
trap 'exit 130' INT TERM HUP

timed() { # name, command...: prints what it prints, then its seconds and status
  name=$1; shift
  began=$(date +%s)
  status=0
  "$@" || status=$?
  times="$times$(printf '%-28s %6d s   status %d' "$name" $(($(date +%s) - began)) "$status")
"
  [ "$status" -eq 0 ] || failed=$status
}

times= failed=0
timed "git clone" git clone --quiet "$from" "$folder/wardstream"
cd "$folder/wardstream"
timed "make demo, with set-up" make demo
timed "make test" make test
printf '\n%s at %s, %s cores\n%s' "$(git rev-parse --short HEAD)" "$(date -u +%Y-%m-%dT%H:%MZ)" "$(nproc)" "$times"
exit "$failed"
