#!/usr/bin/env bash
# The whole path on this machine: train, pack, serve, submit, verify, report. Called by `make demo`.
# Everything stays in one new folder below runs/; whatever was started is stopped on any exit.
set -euo pipefail
cd "$(dirname "$0")"

seedgolf=${SEEDGOLF:-.venv/bin/seedgolf}
run=runs/demo-$(date -u +%Y%m%d-%H%M%S)
server=$run/server
started=$SECONDS
mkdir -p "$run"

stop() {
    [ -z "${serve:-}" ] || { kill -TERM "$serve" 2>/dev/null && wait "$serve" 2>/dev/null || true; serve=; }
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n== %s (%d s)\n' "$1" "$((SECONDS - started))"; }

step "train on the built-in corpus (preset ${DEMO_PRESET:-demo}), pack, and score the file in a fresh process"
"$seedgolf" train --preset "${DEMO_PRESET:-demo}" --out "$run/model"

step "what is in the file"
"$seedgolf" inspect "$run/model/artifact.sgolf"

step "start a server: PostgreSQL, API and a worker, all in $server"
export SEEDGOLF_DATA=$server
"$seedgolf" serve --data "$server" --port 0 >"$run/server.log" 2>&1 &
serve=$!
until [ -s "$server/address" ]; do
    kill -0 "$serve" 2>/dev/null || { echo "the server did not start:" >&2; tail -n 20 "$run/server.log" >&2; exit 1; }
    sleep 0.2
done
echo "listening on $(cat "$server/address")"

step "submit the file, wait for the verdict"
"$seedgolf" submit "$run/model/artifact.sgolf" --wait --summary "$run/report.md"

step "done"
echo "report:  $run/report.md"
echo "again:   $seedgolf serve --data $server    then open the login link that it prints"
if [ -n "${DEMO_KEEP:-}" ]; then
    sed -n '/login/Ip' "$run/server.log"
    echo "the server keeps running; ctrl-C stops it"
    wait "$serve"
fi
