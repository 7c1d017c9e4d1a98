#!/usr/bin/env bash
# curl: it asks for HTTP/2 with --http2, waits for leave to send a large body, and sends in chunks.
set -euo pipefail

base=$1
json='content-type: application/json'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Says the status, and the connections that were made for it.
ask() { curl -sS --max-time 30 -o /dev/null -w '%{http_code} %{num_connects}\n' "$@"; }

expect() {
  [ "$1" = "$2" ] || { printf 'wanted:\n%s\nfound:\n%s\n' "$1" "$2" >&2; exit 1; }
}

ids=(-H "$json" -d '{"count":1}' "$base/api/v1/ids")
wish=(-H 'connection: Upgrade' -H 'upgrade: h2c')
expect $'200 1\n200 0\n200 0' "$(ask "${ids[@]}" -o /dev/null "$base/api/v1/ids" \
  -o /dev/null "$base/api/v1/ids")"
expect $'200 1\n200 0\n200 0' "$(ask "${wish[@]}" "${ids[@]}" -o /dev/null "$base/api/v1/ids" \
  -o /dev/null "$base/api/v1/ids")"
expect '200 1' "$(ask --http1.0 "$base/healthz")"
expect '200 1' "$(ask -I "$base/healthz")"
if curl --version | grep -q HTTP2; then expect '200 1' "$(ask --http2 "${ids[@]}")"; fi

# What a program prints, piped: in chunks, with bytes that are no text.
expect '201 1' "$(ask -H "$json" -d '{"id":7,"name":"a"}' "$base/api/v1/jobs")"
log=$base/api/v1/jobs/7/log
printf '10%%\r100%%\ndone\n\xff\n' |
  curl -sS --max-time 30 -f -o /dev/null -X POST -H 'content-type: text/plain' -T - "$log"
expect $'100%\ndone\n�' "$(curl -sS --max-time 30 "$log?format=text")"

# Larger than a body may be, with leave asked for: the refusal is heard.
head -c 40000000 /dev/zero >"$scratch/large"
expect '413 1' "$(ask -H "$json" -H 'expect: 100-continue' --data-binary "@$scratch/large" \
  "$base/api/v1/jobs")"
