"""Transparency logs, section 10 of docs/PROTOCOL.md: trees, proofs, notes, checkpoints, what a witness answers."""
import base64
import binascii
import hashlib
import re

from adapter import Refused, need
from ed25519 import verify_message

NOTE_BYTES, SIGNATURES, HASHES, RECORD_BYTES, UINT_MAX = 1 << 14, 100, 63, 4168, (1 << 53) - 1
DASH, EMPTY = "\u2014 ", hashlib.sha256(b"").digest()
ORIGIN = re.compile("chorale/([0-9a-f]{16})/([0-9a-f]{16})")
TILE = re.compile(r"tile/([0-6])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
SIGNED, COSIGNED = 1, 4


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def half(count):
    """The largest power of two below a count of 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)


class Tree:
    """The leaves of a log; roots of complete subtrees are kept."""

    def __init__(self, leaves):
        self.leaves, self.known = leaves, {}

    def over(self, start, count):
        if count < 2:
            return self.leaves[start] if count else EMPTY
        key = (start, count) if count & (count - 1) == 0 else None
        if key in self.known:
            return self.known[key]
        left = half(count)
        root = node(self.over(start, left), self.over(start + left, count - left))
        if key:
            self.known[key] = root
        return root

    def root(self, size):
        return self.over(0, size)

    def subtree(self, level, index):
        return self.over(index << level, 1 << level)


def included(hash_, index, size, root, path):
    need(index < size, "PRF-001")
    place, last = index, size - 1
    for step in path:
        need(last > 0, "PRF-003")
        if place & 1 or place == last:
            hash_ = node(step, hash_)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hash_ = node(hash_, step)
        place, last = place >> 1, last >> 1
    need(last == 0, "PRF-003")
    need(hash_ == root, "PRF-004")


def consistent(old, old_root, new, new_root, path):
    need(old <= new, "PRF-002")
    if old in (0, new):
        need(not path, "PRF-003")
        return need(old_root == (new_root if old else EMPTY), "PRF-004")
    steps = ([old_root] if old & (old - 1) == 0 else []) + path
    need(steps, "PRF-003")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        need(last > 0, "PRF-003")
        if place & 1 or place == last:
            before, after = node(step, before), node(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node(after, step)
        place, last = place >> 1, last >> 1
    need(last == 0, "PRF-003")
    need(before == old_root and after == new_root, "PRF-004")


def decimal(text):
    if not re.fullmatch("0|[1-9][0-9]{0,15}", text, re.ASCII) or int(text) > UINT_MAX:
        return None
    return int(text)


def unbase64(text):
    """The bytes, if this is their one encoding."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def hash_of(text):
    data = unbase64(text)
    return data if data is not None and len(data) == 32 else None


class Note:
    """A text and its signature lines: (name, key id, bytes)."""

    def __init__(self, data):
        need(len(data) <= NOTE_BYTES, "NOTE-001")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise Refused("NOTE-002") from None
        need(all(byte >= 0x20 or byte == 0x0A for byte in data), "NOTE-002")
        text, blank, lines = whole.rpartition("\n\n")
        need(blank and lines.endswith("\n"), "NOTE-003")
        self.text, self.lines = text + "\n", []
        for line in lines[:-1].split("\n"):
            self.add(line)

    def add(self, line):
        need(line.startswith(DASH), "NOTE-003")
        name, space, text = line[len(DASH):].partition(" ")
        need(space, "NOTE-003")
        need(name and "+" not in name and not any(c.isspace() for c in name), "NOTE-004")
        data = unbase64(text)
        need(data is not None and len(data) > 4, "NOTE-005")
        need(len(self.lines) < SIGNATURES, "NOTE-006")
        need((name, data[:4]) not in [known[:2] for known in self.lines], "NOTE-007")
        self.lines.append((name, data[:4], data[4:]))


def key_id(name, algorithm, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + key).digest()[:4]


class Keyring:
    """Every member that any version names, by the beginning of its id, with all its keys and the part of its log that each signs for."""

    def __init__(self, chain):
        self.network, found, self.parts, self.present = chain.network, {}, {}, {}
        for version in chain.versions:
            logs = {handover[0]: handover.get(3) for handover in version.handovers}
            for member in version.members:
                ids, keys = found.setdefault(member[0][:8], (set(), set()))
                ids.add(member[0])
                if member[0] in logs:
                    for key in keys:
                        self.parts[key][1].append(logs[member[0]])
                keys.add(member[2])
                self.parts.setdefault(member[2], (logs.get(member[0]), []))
                self.present[member[0]] = member[2]
        self.owners = {begin: (*ids, sorted(keys)) for begin, (ids, keys) in found.items() if len(ids) == 1}

    def signs_for(self, key, size, root):
        """Whether a head is of the part of the log that this key of its owner signs for."""
        start, ends = self.parts[key]
        if start and not (size > start[0] or (size, root) == (start[0], start[1])):
            return False
        if not ends or None in ends:
            return not ends
        least = min(end[0] for end in ends)
        return size < least or (size, root) == (least, [end[1] for end in ends if end[0] == least][-1])

    def start(self, member):
        """Size and root at which the log of a member passed to its present key."""
        start = self.parts[self.present[member]][0]
        return (start[0], start[1]) if start else (0, EMPTY)

    def of(self, name):
        """Member and keys of a name that is an origin."""
        match = ORIGIN.fullmatch(name)
        if not match or bytes.fromhex(match[1]) != self.network[:8]:
            return None, []
        return self.owners.get(bytes.fromhex(match[2]), (None, []))

    def candidates(self, line, origin):
        """The keys that a line may be of, and with which algorithm; the owner's signature first."""
        keys = self.of(line[0])[1]
        algorithms = [SIGNED, COSIGNED] if line[0] == origin else [COSIGNED]
        return [(a, key) for a in algorithms for key in keys if key_id(line[0], a, key) == line[1]]


class Checkpoint:
    """A note of a participant's log, signed by its owner."""

    def __init__(self, note, ring):
        lines = note.text.split("\n")
        need(len(lines) == 4 and not lines[3], "NOTE-008")
        self.origin = lines[0]
        match = ORIGIN.fullmatch(self.origin)
        need(match, "NOTE-009")
        self.size, self.root = decimal(lines[1]), hash_of(lines[2])
        need(self.size is not None and self.root is not None and (self.size or self.root == EMPTY), "NOTE-008")
        need(bytes.fromhex(match[1]) == ring.network[:8], "NOTE-010")
        self.member = ring.of(self.origin)[0]
        need(self.member is not None, "NOTE-011")
        self.known, signed, elsewhere, self.by_present, times = True, False, False, False, {}
        for line in note.lines:
            candidates = ring.candidates(line, self.origin)
            self.known = self.known and bool(candidates)
            if not candidates:
                continue
            algorithm, key, time = made_by(candidates, line, note.text)
            who = ring.of(line[0])[0]
            present = ring.present[who] == key
            if algorithm == SIGNED and ring.signs_for(key, self.size, self.root):
                signed, self.by_present = True, self.by_present or present
            elif algorithm == SIGNED:
                elsewhere = True
            elif present and who != self.member:
                times[who] = min(time, times.get(who, time))
        need(signed, "NOTE-015" if elsewhere else "NOTE-012")
        self.times = times

    def seen_by(self, count):
        """The earliest time by which so many had cosigned, if as many did."""
        times = sorted(self.times.values())
        return times[count - 1] if count <= len(times) else None


def made_by(candidates, line, text):
    """With which algorithm which of the keys made the line, and at what time; else what is wrong by the last of them."""
    code = None
    for algorithm, key in candidates:
        data, time, message = line[2], None, text.encode()
        code = "NOTE-013"
        if algorithm == COSIGNED:
            time = int.from_bytes(data[:8], "big")
            if len(data) != 72 or time >= 1 << 63:
                code = "NOTE-014"
                continue
            data, message = data[8:], b"cosignature/v1\ntime %d\n" % time + message
        try:
            need(len(data) == 64, "NOTE-013")
            verify_message(key, message, data)
        except Refused:
            continue
        return algorithm, key, time
    raise Refused(code)


def witness(me, held, request, ring):
    """Whether the witness cosigns: `ok`, a conflict, or a refusal; held is the size and root of the log's head, if the owner's present
    key signed it."""
    need(len(request) <= 32 + HASHES * 45 + 1 + NOTE_BYTES, "ASK-001")
    head, blank, rest = request.partition(b"\n\n")
    old, path = head_lines(head, "old ", "ASK-001") if blank else (None, None)
    need(old is not None, "ASK-001")
    checkpoint = Checkpoint(Note(rest), ring)
    need(checkpoint.member != me, "ASK-002")
    need(checkpoint.by_present, "ASK-005")
    size, root = held or ring.start(checkpoint.member)
    need(checkpoint.size != size or checkpoint.root == root, "ASK-004")
    need(old <= checkpoint.size, "PRF-002")
    if old != size:
        return f"conflict {size}"
    consistent(size, root, checkpoint.size, checkpoint.root, path)
    return "ok"


def head_lines(head, word, code):
    """A number after a word, then hashes, a line each."""
    try:
        first, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise Refused(code) from None
    need(first.startswith(word), code)
    number, path = decimal(first[len(word):]), [hash_of(line) for line in lines]
    need(number is not None and None not in path and len(path) <= HASHES, code)
    return number, path


def tile_path(level, index, width):
    groups, index = [f"{index % 1000:03}"], index // 1000
    while index:
        groups, index = [f"x{index % 1000:03}", *groups], index // 1000
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


def tile(path):
    """Level, index and width of a tile's path; none if it is not the one spelling of it."""
    match = TILE.fullmatch(path)
    if not match:
        return None
    index = int(match[2].replace("x", "").replace("/", ""))
    found = int(match[1]), index, int(match[3] or 256)
    fits = index <= UINT_MAX // 256 and found[2] <= 256
    return found if fits and tile_path(*found) == path else None


def tiles(size):
    """The tiles of a tree, level by level from the leaves up."""
    for level in range(7):
        hashes = size >> (8 * level)
        for index in range(hashes // 256):
            yield level, index, 256
        if hashes % 256:
            yield level, hashes // 256, hashes % 256


def proof(data, check, ring):
    """A proof file: its checkpoint, which has the record that the file holds; `check` is told of the envelope."""
    header = b"c2sp.org/tlog-proof@v1\n"
    need(len(data) <= (1 << 14) + HASHES * 45 + NOTE_BYTES and data.startswith(header), "PRF-006")
    head, blank, rest = data[len(header):].partition(b"\n\n")
    extra, newline, after = head.partition(b"\n")
    need(blank and newline and extra.startswith(b"extra "), "PRF-006")
    envelope = unbase64(extra[6:].decode("ascii", "replace"))
    need(envelope is not None and len(envelope) <= RECORD_BYTES, "PRF-006")
    index, path = head_lines(after, "index ", "PRF-006")
    checkpoint = Checkpoint(Note(rest), ring)
    included(leaf(envelope), index, checkpoint.size, checkpoint.root, path)
    check(envelope)
    return checkpoint
