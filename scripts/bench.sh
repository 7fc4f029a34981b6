#!/usr/bin/env bash
# Runs the benchmarks of single parts and prints what they say; docs/BENCHMARKS.md says what each figure means. The training step is compared
# with PyTorch when CHORALE_PYTHON names a Python that has it. Nothing else should run on the machine meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
examples() { # examples FOLDER: names of the files and folders bench_* in it
    local file
    for file in "$1"/examples/bench_*; do
        [[ -e $file ]] && basename "$file" .rs
    done
    return 0
}
run() { # run NAME COMMAND...
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || { echo "bench: $name failed" >&2; failed+=("$name"); }
}
failed=()
printf 'machine: %s, %s cores, %s\n' "$(uname -sm)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1)"
for name in $(examples protocol); do
    run "$name" cargo run --quiet --release --locked -p chorale-protocol --features cli --example "$name"
done
for name in $(examples node); do
    run "$name" cargo run --quiet --release --locked -p chorale --example "$name"
done
if [[ -n ${CHORALE_PYTHON:-} && -e scripts/bench_train.py ]]; then
    run "bench_train.py (PyTorch)" "$CHORALE_PYTHON" scripts/bench_train.py
else
    printf '\n== bench_train.py\nskipped: CHORALE_PYTHON names no Python with torch\n'
fi
if ((${#failed[@]})); then
    printf '\nbench: failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
