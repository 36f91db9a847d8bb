#!/bin/sh
# The parts of the service by name; anything else is a command: `docker compose exec` or `docker run ... seedgolf inspect FILE`.
set -eu
case "${1:-api}" in
api)
    seedgolf db upgrade
    echo "seedgolf: pages at ${SEEDGOLF_BASE_URL:-the published port}. Make the first token, and log in with it:"
    echo "seedgolf:   docker compose exec api seedgolf token new --owner me --scope admin"
    exec python -P -m api.server
    ;;
worker)
    shift
    exec seedgolf worker "$@"
    ;;
*)
    exec "$@"
    ;;
esac
