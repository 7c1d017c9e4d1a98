#!/usr/bin/env bash
# Runs every example, each against a service of its own. JOBTRACKER_BUILT=1 takes what the last
# `cargo test --workspace` has built.
set -euo pipefail
cd "$(dirname "$0")/.."

built=${CARGO_TARGET_DIR:-target}/debug
if [ -z "${JOBTRACKER_BUILT:-}" ]; then
  cargo build --quiet --package jobtracker-examples --examples
  cargo build --quiet --bin jobtracker
fi
run() {
  local example=$1
  shift
  "$built/examples/$example" "$@"
}

run walkthrough
run wait
run watch
run blockers
run callback
run demo --once
run schedule --once
run bulk_context --jobs 20000
run sql_summary

echo 'curl alone:'
log=$(mktemp)
"$built/jobtracker" serve --store memory --listen 127.0.0.1:0 >"$log" &
server=$!
trap 'kill $server; rm -f "$log"' EXIT
until url=$(grep -o 'http://[0-9.:]*' "$log"); do
  kill -0 $server
  sleep 0.1
done
examples/curl.sh "$url"
echo 'A flow that is recorded:'
JOBTRACKER_URL=$url run sql_summary | tail -n 2
