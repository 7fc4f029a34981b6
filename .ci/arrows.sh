#!/usr/bin/env bash
# Who may depend on whom: tests → node → protocol, and inside each crate as its map says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
fail() {
    printf 'arrows: %s\n' "$1" >&2
    failed=1
}

# protocol is pure: what it links, and what it names.
linked=$(cargo tree --locked -p chorale-protocol -e normal --prefix none)
for crate in tokio libp2p tch torch-sys rand getrandom mio socket2; do
    if grep -q "^$crate v" <<<"$linked"; then fail "chorale-protocol links $crate"; fi
done
# shellcheck disable=SC2046
if grep -nE 'std::(fs|net|env|process)|Instant::now|SystemTime::now|HashMap|HashSet' \
    $(git ls-files 'protocol/src/*.rs' | grep -v '^protocol/src/bin/'); then
    fail "the lines above use files, network, clock or unordered maps in protocol"
fi
crates=$(cargo tree --locked -p chorale-protocol --features cli -e normal,no-proc-macro --prefix none | sed 's/ (.*//' | sort -u | wc -l)
((crates < 60)) || fail "chorale-audit links $crates crates, fewer than 60 are wanted"

# forbid FOLDER MODULE…: files in FOLDER may not name crate::MODULE outside their tests' fixture.
forbid() {
    local folder=$1
    shift
    for module in "$@"; do
        if grep -rnE "crate::$module\b" "$folder" --include='*.rs'; then fail "$folder names $module"; fi
    done
}
forbid protocol/src/base code manifest feed adapter merge draw log wire engine audit
forbid protocol/src/code manifest feed adapter merge draw log wire engine audit
forbid protocol/src/manifest feed adapter merge draw log wire engine audit
forbid protocol/src/feed adapter merge draw log wire engine audit
forbid protocol/src/adapter feed merge draw log wire engine audit
forbid protocol/src/log feed adapter merge draw wire admit engine audit
forbid protocol/src/merge wire admit engine audit
forbid protocol/src/draw wire admit engine audit
forbid protocol/src/wire admit engine audit
forbid protocol/src/admit wire engine audit
forbid protocol/src/engine audit
forbid protocol/src/audit engine
forbid node/src/net store train driver cli
forbid node/src/store net train driver cli
forbid node/src/train net store driver cli
forbid node/src/driver cli
if ((failed)); then exit 1; fi
echo "arrows: fine ($crates crates in chorale-audit)"
