#!/usr/bin/env bash
# Sets up, builds, and shows the whole way: four members, data and a base model from nothing, training together, a table of
# what it was worth, a plot, a verified archive. Arguments go to `chorale demo run`; with your own model and data:
#   scripts/demo.sh --model DIR --data A.jsonl B.jsonl C.jsonl [--test T.jsonl ...] [--rounds N] [--steps H] [--out DIR]
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scripts/setup.sh
cargo build --release --locked -p chorale -p chorale-protocol --features chorale-protocol/cli --bin chorale --bin chorale-audit
bin=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release
out=$root/.cache/demo/$(date +%Y%m%d-%H%M%S)
mkdir -p "$out"
# Paths in the arguments are relative to where this was called.
cd "$here"
exec "$bin/chorale" demo run --out "$out" "$@"
