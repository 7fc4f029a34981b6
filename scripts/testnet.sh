#!/usr/bin/env bash
# A test network of four members in containers: testnet.sh up|status|down.
#   up [--model DIR --data A.jsonl B.jsonl C.jsonl D.jsonl]   build the image, make homes in .testnet/, start
#   status                                                    what each node does
#   down                                                      stop; homes and their keys stay in .testnet/
# Without a model the members train a stand-in, which shows everything but learning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=${CHORALE_TESTNET:-$PWD/.testnet}
export CHORALE_TESTNET=$dir

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose --project-name chorale-testnet --file docker/compose.yaml "$@"
    elif command -v docker-compose >/dev/null; then
        docker-compose --project-name chorale-testnet --file docker/compose.yaml "$@"
    else
        echo "testnet: docker compose is missing: sudo apt-get install --yes docker-compose" >&2
        exit 1
    fi
}

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# The binaries: those of a build here, or of the folder CHORALE_BIN.
bin=${CHORALE_BIN:-${CARGO_TARGET_DIR:-target}/release}

# The image, from the binaries that a build outside made.
image() {
    scripts/setup.sh
    if [[ -z ${CHORALE_BIN:-} ]]; then
        cargo build --release --locked -p chorale -p chorale-protocol --bins --features chorale-protocol/cli
    fi
    docker/base.sh
    local libtorch=${LIBTORCH:-.libtorch} context=.cache/image
    rm -rf "$context" && mkdir -p "$context/bin" "$context/lib"
    cp "$bin/chorale" "$bin/chorale-audit" "$context/bin/"
    cp "$libtorch"/lib/*.so* "$context/lib/"
    # The C++ runtime of this machine may be newer than the image's.
    cp -L "$(c++ -print-file-name=libstdc++.so.6)" "$(c++ -print-file-name=libgcc_s.so.1)" "$context/lib/"
    docker build --quiet --target prebuilt --tag chorale:testnet --file docker/Dockerfile "$context"
    rm -rf "$context"
}

homes() {
    local shape=(--fake 65536 --rounds 0)
    local data=()
    if [[ -n ${model:-} ]]; then
        shape=(--model "$model")
        data=(--data "${files[@]}")
    fi
    "$bin/chorale" testnet new --dir "$dir" --nodes 4 "${shape[@]}" "${data[@]}" \
        --set 'network.listen=["/ip4/0.0.0.0/tcp/4001"]' \
        --set 'network.bootstrap=["/dns4/node-0/tcp/4001","/dns4/node-1/tcp/4001"]'
    # In the container the model lies elsewhere, and each member sees its own examples only.
    local node=0
    for file in "${files[@]}"; do
        cp "$file" "$dir/node-$node/data.${file##*.}"
        sed -i -e 's|^path = .*|path = "/model"|' -e "s|^train = .*|train = \"data.${file##*.}\"|" "$dir/node-$node/chorale.toml"
        node=$((node + 1))
    done
}

case ${1:-} in
up)
    shift
    files=()
    while (($#)); do
        case $1 in
        --model) model=$(realpath "$2") && shift 2 ;;
        --data)
            shift
            while (($#)) && [[ $1 != --* ]]; do files+=("$(realpath "$1")") && shift; done
            ;;
        *) usage ;;
        esac
    done
    image
    [[ -e $dir/genesis ]] || homes
    mkdir -p "$dir/none"
    export CHORALE_MODEL=${model:-$dir/none}
    CHORALE_UID=$(id -u)
    # The nodes do not run as root, so the homes must not be root's.
    if ((CHORALE_UID == 0)); then CHORALE_UID=10001 && chown -R 10001 "$dir"/node-*; fi
    export CHORALE_UID
    compose up --detach
    ;;
status)
    for node in node-0 node-1 node-2 node-3; do
        compose exec -T "$node" chorale status --home /home/chorale/home || echo "$node does not answer"
    done
    ;;
down) compose down --timeout 5 ;;
*) usage ;;
esac
