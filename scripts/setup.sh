#!/usr/bin/env bash
# Sets up what a build needs; safe to run again, and goes on where it was interrupted.
# Honours an existing LIBTORCH or LIBTORCH_USE_PYTORCH=1; otherwise lays out a CPU libtorch in .libtorch/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
need() { # need COMMAND HOW-TO-INSTALL
    command -v "$1" >/dev/null 2>&1 || missing+=("  $1: $2")
}
need cargo "install Rust with rustup, see the Rust web site"
need c++ "sudo apt-get install --yes g++"
need python3 "sudo apt-get install --yes python3"
if command -v python3 >/dev/null 2>&1 && [[ -z ${LIBTORCH:-} && -z ${LIBTORCH_USE_PYTORCH:-} ]]; then
    python3 -m pip --version >/dev/null 2>&1 || missing+=("  pip: sudo apt-get install --yes python3-pip")
fi
if ((${#missing[@]})); then
    printf 'setup: these are missing; install them and run this again:\n' >&2
    printf '%s\n' "${missing[@]}" >&2
    exit 1
fi

want=1.89.0
have=$(rustc --version | cut -d' ' -f2)
if [[ $(printf '%s\n%s\n' "$want" "${have%%-*}" | sort -V | head -n1) != "$want" ]]; then
    echo "setup: Rust $have is too old, $want or newer is needed: rustup update stable" >&2
    exit 1
fi

if [[ -n ${LIBTORCH_USE_PYTORCH:-} ]]; then
    echo "setup: linking the PyTorch of $(command -v python3) (LIBTORCH_USE_PYTORCH is set)"
    exit 0
fi
if [[ -n ${LIBTORCH:-} ]]; then
    [[ -e $LIBTORCH/lib/libtorch_cpu.so ]] || {
        echo "setup: LIBTORCH=$LIBTORCH has no lib/libtorch_cpu.so; unset it, or point it at a libtorch 2.11 folder" >&2
        exit 1
    }
    echo "setup: using libtorch in $LIBTORCH"
    exit 0
fi

version=2.11.0
if [[ -e .libtorch/complete && $(cat .libtorch/build-version 2>/dev/null) == "$version" ]]; then
    echo "setup: libtorch $version is in .libtorch/"
    exit 0
fi
if [[ $(uname -sm) != "Linux x86_64" ]]; then
    echo "setup: no CPU libtorch is known for $(uname -sm); get libtorch $version for it and export LIBTORCH=/its/folder" >&2
    exit 1
fi

echo "setup: fetching libtorch $version (0.5 GB, once)"
mkdir -p .cache/wheels
# The wheels' Python version does not matter, only their libraries do: pin one so that the hashes hold everywhere.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --requirement scripts/libtorch.txt \
    --dest .cache/wheels --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
rm -rf .libtorch.new
python3 scripts/unpack_libtorch.py .cache/wheels .libtorch.new "$version"
rm -rf .libtorch && mv .libtorch.new .libtorch
touch .libtorch/complete
rm -rf .cache/wheels
echo "setup: libtorch $version is in .libtorch/"
