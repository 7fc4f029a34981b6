#!/usr/bin/env bash
# Sets up and passes all tests. Tests with real data run when CHORALE_SHARED names the folder; tests against other people's
# programs when CHORALE_PYTHON names a Python with torch, transformers and peft. Otherwise they say "skipped".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh

cargo build --release --locked --workspace --bins --examples --features chorale-protocol/cli
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --locked --workspace --features chorale-protocol/cli --config-file .ci/nextest.toml "$@"
else
    echo "test: cargo-nextest is not installed, using cargo test (cargo install --locked cargo-nextest)"
    cargo test --release --locked --workspace --features chorale-protocol/cli --lib --bins --tests "$@" -- --test-threads=2
fi
cargo test --release --locked --workspace --features chorale-protocol/cli --doc --quiet
