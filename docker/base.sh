#!/usr/bin/env bash
# Makes the image debian:bookworm-slim with debootstrap where no image can be pulled. Needs root and debootstrap.
set -euo pipefail
image=debian:bookworm-slim
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "base: $image is there"
    exit 0
fi
if docker pull --quiet "$image" 2>/dev/null; then exit 0; fi
echo "base: $image cannot be pulled; making it with debootstrap"
if ! command -v debootstrap >/dev/null; then
    echo "base: debootstrap is missing: sudo apt-get install --yes debootstrap" >&2
    exit 1
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" . | docker import - "$image" >/dev/null
echo "base: made $image"
