#!/usr/bin/env bash
# Files stay under 400 lines; functions under 70 is clippy's too_many_lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
long=$(git ls-files '*.rs' '*.py' '*.sh' | while read -r file; do
    lines=$(wc -l <"$file")
    ((lines < 400)) || echo "  $file: $lines lines"
done)
if [[ -n $long ]]; then
    printf 'sizes: these files have 400 lines or more; split them:\n%s\n' "$long" >&2
    exit 1
fi
echo "sizes: fine"
