#!/usr/bin/env bash
# Builds and runs the containers for real, on a plain Debian machine, without an image registry, and without touching its network:
#   sudo docker/try.sh [FOLDER]        FOLDER keeps base images and build layers for the next time
# Then: an artifact is trained and packed inside, uploaded as a CI job would, a damaged copy is rejected, and every container is killed in the middle
# of a job that must end as if nothing had happened. Prints what it saw; exit code 0 when all of it held.
# Needs root and the packages docker.io, debootstrap, iptables, iproute2; compose comes from the extra `docker`.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "$0")")")
work=$(realpath -m "${1:-$(mktemp -d /var/tmp/seedgolf-try.XXXX)}")
namespace=seedgolf-try
compose=${COMPOSE:-$root/.venv/bin/docker-compose}
ca=${PIP_CA:-/etc/ssl/certs/ca-certificates.crt}
address=http://localhost:8765
export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=1 SEEDGOLF_IMAGE=seedgolf-try SEEDGOLF_POSTGRES_IMAGE=seedgolf-try-postgres
daemon='' index=''

say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }

missing=()
for program in dockerd:docker.io debootstrap:debootstrap iptables:iptables ip:iproute2 "$compose:extra-docker"; do
    command -v "${program%:*}" >/dev/null || missing+=("${program##*:}")
done
[ "$(id -u)" = 0 ] && [ ${#missing[@]} = 0 ] || { echo "try.sh needs root and: ${missing[*]:-nothing else}" >&2; exit 2; }

start_daemon() { # start_daemon NAMESPACE-OPTIONS... -- DOCKERD-OPTIONS...
    local inside=()
    while [ "$1" != -- ]; do inside+=("$1"); shift; done
    shift
    "${inside[@]}" dockerd --config-file "$work/daemon.json" --data-root "$work/data" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" --host "$DOCKER_HOST" --storage-driver overlay2 "$@" >>"$work/dockerd.log" 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        docker version >/dev/null 2>&1 && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$work/dockerd.log" >&2
    exit 1
}

stop_daemon() {
    [ -n "$daemon" ] || return 0
    kill "$(cat "$work/docker.pid")" 2>/dev/null || true
    wait "$daemon" || true
    daemon=''
}

down() { "$compose" -f "$root/docker/compose.yaml" down --volumes --timeout 5 >/dev/null 2>&1 || true; }

clean() {
    trap '' INT TERM # once, and to its end
    [ -z "$index" ] || kill "$index" 2>/dev/null || true
    [ -z "$daemon" ] || down
    stop_daemon
    umount "$work/exec/netns/default" "$work/data" 2>/dev/null || true
    ip netns delete "$namespace" 2>/dev/null || true
}
trap clean EXIT

mkdir -p "$work"
echo '{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 20000, "Hard": 20000}}}' >"$work/daemon.json"

say "base images"
"$root/docker/base_images.sh" "$work/base" >/dev/null

say "build, in $work"
start_daemon env -- --iptables=false --bridge=none
down # what an interrupted run left
docker import "$work/base/python.tar" seedgolf-try-python >/dev/null
docker import --change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'CMD ["postgres"]' "$work/base/postgres.tar" "$SEEDGOLF_POSTGRES_IMAGE" >/dev/null
rm -f "$work/pip.conf"
python3 "$root/docker/pip_for_build.py" "$work/pip.conf" with-certificates &
index=$!
until [ -e "$work/pip.conf" ]; do kill -0 "$index"; sleep 0.1; done
seconds=$SECONDS
/usr/bin/docker build --quiet --network host --file "$root/docker/Dockerfile" --tag "$SEEDGOLF_IMAGE" --build-arg BASE_IMAGE=seedgolf-try-python \
    --build-arg TORCH_INDEX="${TORCH_INDEX-}" --secret "id=pip_conf,src=$work/pip.conf" --secret "id=pip_ca,src=$ca" "$root" >/dev/null
kill "$index"; index=''
say "built in $((SECONDS - seconds)) s: $(docker image inspect --format '{{.Size}}' "$SEEDGOLF_IMAGE" | numfmt --to=si)B"
docker run --rm --network none --entrypoint sh "$SEEDGOLF_IMAGE" -c 'ls /etc/pip.conf /run/secrets' >/dev/null 2>&1 && { echo "a build secret stayed in the image" >&2; exit 1; }
stop_daemon

say "run, in a network namespace of its own"
umount "$work/exec/netns/default" 2>/dev/null || true
ip netns add "$namespace"
ip -n "$namespace" link set lo up
start_daemon nsenter "--net=/run/netns/$namespace" -- --bip 10.213.0.1/24 --default-address-pool base=10.214.0.0/16,size=24
cd "$root"
seconds=$SECONDS
"$compose" -f docker/compose.yaml up --wait --no-build --quiet-pull >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; "$compose" -f docker/compose.yaml logs --tail 30 >&2; exit 1; }
say "healthy after $((SECONDS - seconds)) s"
"$compose" -f docker/compose.yaml ps --format 'table {{.Service}}\t{{.Status}}'
SEEDGOLF_TOKEN=$("$compose" -f docker/compose.yaml exec -T api seedgolf token new --owner try --scope admin)
export SEEDGOLF_TOKEN SEEDGOLF_COMPOSE="$compose" SEEDGOLF_COMPOSE_FILE="$root/docker/compose.yaml"
nsenter "--net=/run/netns/$namespace" python3 "$root/docker/try_jobs.py" "$address" "$work/files"
say "everything held"
