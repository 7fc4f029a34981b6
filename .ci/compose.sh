#!/usr/bin/env bash
# Four members in containers: they agree, one is killed, one is cut off and comes back; nothing in an archive fails. Says "skipped" where no
# container engine can be had.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

engine=
if ! docker info >/dev/null 2>&1; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null && { command -v dockerd >/dev/null ||
        { apt-get update -qq && apt-get install --yes -qq docker.io docker-compose iptables debootstrap; }; } >/dev/null 2>&1; then
        dockerd >/tmp/chorale-dockerd.log 2>&1 &
        engine=$!
        for _ in $(seq 60); do docker info >/dev/null 2>&1 && break || sleep 0.5; done
    fi
    if ! docker info >/dev/null 2>&1; then
        echo "skipped: no container engine can be started"
        exit 0
    fi
fi

# What the tests built just now, if they ran before.
built=${CARGO_TARGET_DIR:-target}/release
if [[ -x $built/chorale && -x $built/chorale-audit ]]; then export CHORALE_BIN=$built; fi

CHORALE_TESTNET=$(mktemp -d)
export CHORALE_TESTNET
finish() {
    scripts/testnet.sh down >/dev/null 2>&1 || true
    rm -rf "$CHORALE_TESTNET"
    if [[ -n $engine ]]; then kill "$engine" 2>/dev/null && wait "$engine" 2>/dev/null || true; fi
}
trap finish EXIT
fail() {
    echo "compose: $1" >&2
    scripts/testnet.sh status >&2 || true
    exit 1
}

# The round in the status file of a node's home.
round() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get("round") or 0)' "$CHORALE_TESTNET/node-$1/status.json" 2>/dev/null || echo 0; }
# until_round ROUND NODE…: waits until these nodes published that round.
until_round() {
    local wanted=$1
    shift
    for node in "$@"; do
        for _ in $(seq 300); do
            if (($(round "$node") >= wanted)); then continue 2; fi
            sleep 0.2
        done
        fail "node-$node stays at round $(round "$node"), wanted $wanted"
    done
    echo "compose: nodes $* are at round $wanted or later"
}
container() { docker ps --all --format '{{.Names}}' | grep -E "chorale-testnet[-_]node-$1[-_]1"; }

scripts/testnet.sh up >/dev/null
until_round 3 0 1 2 3

docker kill "$(container 0)" >/dev/null
until_round $(($(round 1) + 3)) 1 2 3
docker start "$(container 0)" >/dev/null
until_round $(($(round 1) + 3)) 0 1 2 3

network=$(docker network ls --format '{{.Name}}' | grep -E 'chorale-testnet[-_]testnet')
docker network disconnect "$network" "$(container 3)"
until_round $(($(round 1) + 3)) 0 1 2
docker network connect --alias node-3 "$network" "$(container 3)"
until_round $(($(round 1) + 3)) 0 1 2 3

scripts/testnet.sh down >/dev/null 2>&1
said=$("$built/chorale" --json archive --home "$CHORALE_TESTNET/node-1" --out "$CHORALE_TESTNET/archive")
read -r id anchors < <(python3 -c 'import json,sys; s=json.loads(sys.argv[1]); print(s["network"], s["anchors"])' "$said")
# The network was stopped in the middle, and old payloads are pruned: the verdict may be "incomplete" (3), but nothing may fail.
verdict=0
"$built/chorale-audit" verify "$CHORALE_TESTNET/archive" --network "$id" --anchors "$anchors" >"$CHORALE_TESTNET/report" || verdict=$?
if ((verdict != 0 && verdict != 3)); then
    cat "$CHORALE_TESTNET/report" >&2
    fail "the archive does not verify: chorale-audit exited with $verdict"
fi
echo "compose: nothing in the archive fails ($(tail -n 1 "$CHORALE_TESTNET/report"))"
