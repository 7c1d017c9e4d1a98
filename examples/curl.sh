#!/usr/bin/env bash
# Creates a job, reports its states and reads it back, with curl alone.
# Usage: curl.sh [URL]; the service has to be up there.
set -euo pipefail

api=${1:-http://127.0.0.1:8840}/api/v1
call() { curl --fail-with-body --silent --show-error -H 'content-type: application/json' "$@"; echo; }

# An id of the caller's choice makes every request safe to repeat.
block=$(call "$api/ids" -d '{"count": 1}')
id=$(sed 's/.*"first":\([0-9]*\).*/\1/' <<<"$block")

call "$api/jobs" -d "{\"id\": $id, \"name\": \"backup\", \"tags\": [\"nightly\"]}"
call "$api/jobs/$id/changes" -d '{"state": "Running", "changeId": "start"}'
call "$api/jobs/$id/log" -d '{"lines": ["copying", "copied 12 files"]}'
call "$api/jobs/$id/changes" -d '{"state": "RanToCompletion", "changeId": "end"}'
call "$api/jobs/$id" | grep -q '"state":"RanToCompletion"'
call "$api/jobs/$id/log?format=text"
echo "job $id is done"
