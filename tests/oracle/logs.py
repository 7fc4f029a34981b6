"""The logs of an archive, section 8.6 of docs/PROTOCOL.md."""
from blake3 import blake3

import tlog
from adapter import Refused
from archive import LOG, name_of

TILE_BYTES = 32 * 256


class Book:
    """One member's log: its notes, and its tree out of the tiles."""

    def __init__(self, audit, member, files, ring):
        self.audit, self.source, self.member, self.ring = audit, audit.source, member, ring
        self.newest, self.kept, self.tree = None, [], None
        self.tiles = {file[1:] for file in files if file[0] == 2}
        for file in files:
            if file[0] < 2:
                note = self.note(file)
                if note and file[0] == 0:
                    self.newest = note
                elif note:
                    self.kept.append(note)
        if (0,) not in files:
            self.add("LOG-005", (0,))
        if self.newest and (self.tiles or self.newest.size == 0):
            self.grow()
        if self.newest:
            self.compare()

    def add(self, code, file, severity=None):
        self.audit.notes.add(code, {"file": name_of((LOG, self.member, file))}, severity)

    def note(self, file):
        data = self.source.read((LOG, self.member, file), tlog.NOTE_BYTES, self.audit.notes)
        if data is None:
            return None
        try:
            found = tlog.Checkpoint(tlog.Note(data), self.ring)
        except Refused as error:
            return self.add("LOG-007" if error.code == "NOTE-015" else "LOG-001", file)
        if found.member != self.member or file[0] == 1 and file[1] != found.size:
            return self.add("LOG-001", file)
        if not found.known:
            self.add("LOG-006", file)
        found.file, found.hash = file, blake3(data).digest()
        return found

    def grow(self):
        wanted, hashes, tree = set(), [], None
        for one in tlog.tiles(self.newest.size):
            if one[0] and tree is None:
                tree = tlog.Tree(hashes)
            wanted.add(one)
            data = self.source.read((LOG, self.member, (2, *one)), TILE_BYTES, self.audit.notes)
            if data is None:
                return self.add("LOG-005", (2, *one))
            if len(data) != 32 * one[2]:
                return self.add("LOG-002", (2, *one))
            parts = [data[at:at + 32] for at in range(0, len(data), 32)]
            if one[0] == 0:
                hashes += parts
            elif parts != [tree.subtree(8 * one[0], 256 * one[1] + at) for at in range(one[2])]:
                return self.add("LOG-002", (2, *one))
        tree = tree or tlog.Tree(hashes)
        if tree.root(self.newest.size) != self.newest.root:
            return self.add("LOG-002", (0,))
        for one in self.tiles - wanted:
            self.add("ARC-001", (2, *one), "incomplete")
        self.tree = tree

    def compare(self):
        size, root = self.ring.start(self.member)
        if self.newest.by_present and self.tree and self.tree.root(size) != root:
            self.add("LOG-003", (0,))
        for note in list(self.kept):
            if note.size > self.newest.size:
                self.add("LOG-005", note.file)
            elif self.tree and self.tree.root(note.size) != note.root or not self.tree and (
                    note.size == self.newest.size and note.root != self.newest.root):
                self.add("LOG-003" if note.by_present else "LOG-007", note.file)
                if not note.by_present:
                    self.kept.remove(note)

    def all(self):
        return self.kept + ([self.newest] if self.newest else [])


def check(audit, asked):
    """All logs; and which records they bound in time."""
    asked = max(audit.chain.newest.policy.witnesses, asked)
    ring, wanted = tlog.Keyring(audit.chain), max(asked, 1)
    leaves, notes, files = {tlog.leaf(one.bytes): None for one in audit.all}, {}, {}
    for key in audit.source.of(LOG):
        files.setdefault(key[1], []).append(key[2])
    for member in sorted(files):
        book = Book(audit, member, files[member], ring)
        counting = [note for note in book.all() if len(note.times) >= wanted]
        notes.update((note.hash, note.seen_by(1)) for note in counting)
        if not book.tree:
            continue
        heads = [(note.size, note.seen_by(wanted)) for note in counting
                 if note.size <= len(book.tree.leaves) and book.tree.root(note.size) == note.root]
        if any(leaf not in leaves for leaf in book.tree.leaves):
            book.add("LOG-004", (0,))
        for index, leaf in enumerate(book.tree.leaves):
            times = [time for size, time in heads if size > index]
            if leaf in leaves and times:
                leaves[leaf] = min(times + [leaves[leaf]] if leaves[leaf] is not None else times)
    for one in audit.all:
        if one.loose:
            continue
        end, start = leaves[tlog.leaf(one.bytes)], notes.get(one.seen)
        if end is None and asked:
            audit.notes.run("WIT-001", one.where)
        if start is not None and one.time + 59 < start or end is not None and one.time > end:
            audit.notes.run("TIME-001", one.where)
