"""Lays out a CPU libtorch from PyTorch's wheels: unpack_libtorch.py WHEELS TARGET VERSION."""

import shutil
import sys
import zipfile
from pathlib import Path

# What libtorch_cpu.so is linked to, and itself. libtorch.so, which torch-sys asks for, becomes a linker script below.
LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}


def main() -> None:
    wheels, target, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    (target / "lib").mkdir(parents=True)
    found = set()
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                path = Path(member.filename)
                if path.name in LIBRARIES and "lib" in path.parts:
                    out = target / "lib" / path.name
                    found.add(path.name)
                elif path.parts[:2] == ("torch", "include") and not member.is_dir():
                    out = target / "include" / Path(*path.parts[2:])
                    out.parent.mkdir(parents=True, exist_ok=True)
                else:
                    continue
                with archive.open(member) as source, open(out, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    if missing := LIBRARIES - found:
        sys.exit(f"setup: the wheels hold no {', '.join(sorted(missing))}")
    (target / "lib" / "libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
    (target / "build-version").write_text(version + "\n")


main()
