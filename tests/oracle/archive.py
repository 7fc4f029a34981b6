"""The medium: an archive in a folder or a tar, section 7 of docs/PROTOCOL.md. Nothing is unpacked, no link is followed."""
import os
import re
import stat

import tlog

BLOCK, ENTRIES = 512, 4_000_000
NAME = re.compile(r"(manifests)/([0-9]{6,20})|(feeds)/([0-9a-f]{64})\.([0-9]{1,20})|(blobs|evidence|conflicts)/([0-9a-f]{64})")
LOG_NAME = re.compile(r"logs/([0-9a-f]{64})/(?:(checkpoint)|notes/([0-9]{20})|(tile/.*))", re.DOTALL)
FOLDERS, LOG_DEPTH = ("blobs", "conflicts", "evidence", "feeds", "manifests", "logs"), 12
HASHED, LOG = ("blobs", "evidence", "conflicts"), 6  # the kinds 3, 4 and 5, and the one after them


class Unreadable(Exception):
    """The medium failed: there is no verdict."""


def parse(text):
    """What a name of the layout says, as a tuple that sorts in the layout's order; none for an odd one."""
    if text == "genesis":
        return (0,)
    if text.startswith("logs/"):
        return parse_log(text)
    match = NAME.fullmatch(text)
    if not match:
        return None
    _, version, feeds, member, incarnation, folder, digest = match.groups()
    if feeds:
        number = int(incarnation)
        return (2, bytes.fromhex(member), number) if str(number) == incarnation and number < 1 << 64 else None
    if folder:
        return 3 + HASHED.index(folder), bytes.fromhex(digest)
    number = int(version)
    return (1, number) if 0 < number < 1 << 64 and f"{number:06}" == version else None


def parse_log(text):
    """A file of a member's log: (0,) the newest note, (1, size) a kept one, (2, level, index, width) a tile."""
    match = LOG_NAME.fullmatch(text)
    if not match:
        return None
    member, newest, size, path = match.groups()
    if size and int(size) > tlog.UINT_MAX:
        return None
    found = tlog.tile(path) if path else None
    file = (0,) if newest else (1, int(size)) if size else found and (2, *found)
    return file and (LOG, bytes.fromhex(member), file)


def name_of(key):
    if key[0] == LOG:
        file = key[2]
        name = "checkpoint" if file[0] == 0 else f"notes/{file[1]:020}" if file[0] == 1 else tlog.tile_path(*file[1:])
        return f"logs/{key[1].hex()}/{name}"
    if key[0] == 0:
        return "genesis"
    if key[0] == 1:
        return f"manifests/{key[1]:06}"
    if key[0] == 2:
        return f"feeds/{key[1].hex()}.{key[2]}"
    return f"{HASHED[key[0] - 3]}/{key[1].hex()}"


class Folder:
    def __init__(self, root):
        self.root, self.files = root, []
        for name, mode, length in self._entries(root):
            if stat.S_ISDIR(mode) and name == "logs":
                self._walk(name, LOG_DEPTH)
            elif stat.S_ISDIR(mode) and name in FOLDERS:
                for inner, inner_mode, inner_length in self._entries(os.path.join(root, name)):
                    self.files.append((described(f"{name}/{inner}", inner_mode), inner_length))
            else:
                self.files.append((described(name, mode), length))
        self.files.sort()

    def _walk(self, name, depth):
        for inner, mode, length in self._entries(os.path.join(self.root, name)):
            inner = f"{name}/{inner}"
            if stat.S_ISDIR(mode) and depth:
                self._walk(inner, depth - 1)
            else:
                self.files.append((described(inner, mode), length))

    @staticmethod
    def _entries(folder):
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                shown = os.fsencode(entry.name).decode("utf-8", "replace")
                yield shown if shown == entry.name else f"{shown} (odd)", status.st_mode, status.st_size

    def read(self, name):
        path = os.path.join(self.root, name)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Unreadable(f"{name} is no plain file any more")
        with open(path, "rb") as file:
            return file.read()


def described(name, mode):
    """What is no plain file gets a name that is not of the layout: reported, and never read."""
    if stat.S_ISREG(mode):
        return name
    return name + ("/" if stat.S_ISDIR(mode) else " (a link)" if stat.S_ISLNK(mode) else " (no plain file)")


class Tar:
    """Headers of ustar and old tars; no byte outside the files goes unseen."""

    def __init__(self, path):
        self.file, self.places = open(path, "rb"), {}
        length, at, number, ended = os.fstat(self.file.fileno()).st_size, 0, 0, False
        while at < length:
            header = self._at(at, BLOCK)
            if len(header) < BLOCK:
                raise Unreadable("the tar ends inside a header")
            if not any(header):
                ended = True
                break
            number += self._entry(header, at, number, length)
            size = octal(header[124:136])
            end = at + BLOCK + size
            at = min(-(-end // BLOCK) * BLOCK, max(length, end))
            self._zero(end, min(at, length))
        if number and not ended:
            raise Unreadable("the tar does not end as one does: it was cut short")
        self._zero(at, length)
        self.files = sorted((name, size) for name, (_, size) in self.places.items())

    def _entry(self, header, at, number, length):
        """Notes what the header says; how many entries it counts for."""
        checksum = header[148:156]
        digits = checksum[:6] if checksum[6:] == b"\0 " else checksum[:7] if checksum[7] == 0 else b""
        plain = header[:148] + b" " * 8 + header[156:]
        if not re.fullmatch(rb"[0-7]+", digits) or int(digits, 8) != sum(plain):
            raise Unreadable(f"the header at byte {at} is damaged")
        kind, size = header[156:157], octal(header[124:136])
        if kind == b"x" and size <= 1 << 16 and not re.search(rb"[0-9]+ (path|linkpath|size)=", self._at(at + BLOCK, size)):
            return 0  # times and the like, of the next entry
        if kind in (b"x", b"L", b"K", b"S"):
            raise Unreadable(f"the header at byte {at} is of an extension that this program does not read")
        name = header[:100].split(b"\0")[0]
        if header[257:265] == b"ustar\x0000" and header[345]:
            name = header[345:500].split(b"\0")[0] + b"/" + name
        name = name.decode("utf-8", "replace").removeprefix("./")
        if len(self.places) >= ENTRIES:
            raise Unreadable("too many entries")
        if kind == b"5" or not name:
            self._zero(at + BLOCK, min(at + BLOCK + size, length))
            return 1
        plain = kind in (b"0", b"\0")
        if plain and at + BLOCK + size > length:
            raise Unreadable(f"the tar ends inside {name}")
        name += "" if plain else " (a link)" if kind in (b"1", b"2") else " (no plain file)"
        if name in self.places:
            raise Unreadable(f"two entries are called {name}")
        self.places[name] = (at + BLOCK, size)
        return 1

    def _at(self, at, length):
        self.file.seek(at)
        return self.file.read(length)

    def _zero(self, start, end):
        while start < end:
            part = self._at(start, min(end - start, 1 << 20))
            if not part or any(part):
                raise Unreadable(f"bytes at {start} of the tar belong to no file and are not zero")
            start += len(part)

    def read(self, name):
        return self._at(*self.places[name])


def octal(field):
    text = field.split(b"\0")[0].strip(b" ")
    if not re.fullmatch(rb"[0-7]+", text):
        raise Unreadable("a length in the tar is no octal number")
    return int(text, 8)


def open_archive(path):
    return Folder(path) if os.path.isdir(path) else Tar(path)


class Source:
    """The files of an archive, by what their names say."""

    def __init__(self, archive, notes):
        self.archive, self.lengths = archive, {}
        for text, length in archive.files:
            key = parse(text)
            if key is not None:
                self.lengths[key] = length
            else:
                inside = text.startswith(tuple(folder + "/" for folder in FOLDERS))
                notes.add("ARC-001", {"file": text}, "incomplete" if inside else "warning")
        self.lengths = dict(sorted(self.lengths.items()))

    def of(self, kind):
        return [key for key in self.lengths if key[0] == kind]

    def read(self, key, most, notes):
        """The bytes of a file; none if it is absent, or too long, which is a finding."""
        if key not in self.lengths:
            return None
        if self.lengths[key] > most:
            notes.add("ARC-004", {"file": name_of(key)})
            return None
        data = self.archive.read(name_of(key))
        if len(data) > most:
            raise Unreadable(f"{name_of(key)} grew while it was read")
        return data
