"""Strict CBOR, section 1.3 of docs/PROTOCOL.md: no recursion by foreign bytes, and nothing is allocated by a claimed length."""
import cbor2

from adapter import need

MANIFEST_BYTES, EVIDENCE_BYTES = 4 << 20, 8400
RECORD, MANIFEST, EVIDENCE = (4096, 1024, 6), (MANIFEST_BYTES, 262_144, 6), (EVIDENCE_BYTES, 4, 1)  # bytes, items, depth
TEXT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(length <= len(self.data) - self.at, "CBOR-002")
        self.at += length
        return self.data[self.at - length:self.at]

    def head(self):
        need(self.at < len(self.data), "CBOR-002")
        major, info = self.data[self.at] >> 5, self.data[self.at] & 31
        need(info != 31, "CBOR-005")
        need(info < 28, "CBOR-006")
        need(major not in (1, 6, 7), {1: "CBOR-009", 6: "CBOR-007", 7: "CBOR-008"}.get(major))
        self.at += 1
        if info < 24:
            return major, info
        size = 1 << (info - 24)
        value = int.from_bytes(self.take(size), "big")
        need(value >= (24 if size == 1 else 1 << (4 * size)), "CBOR-004")
        return major, value

    def expect(self, major):
        got, value = self.head()
        need(got == major, "CBOR-018")
        return value

    def field(self, key, major):
        need(self.expect(0) == key, "CBOR-018")
        return self.expect(major)

    def key(self, least):
        need(self.at < len(self.data), "CBOR-002")
        key = self.data[self.at]
        need(key < 24, "CBOR-011")
        need(key >= least, "CBOR-012")
        self.at += 1
        return key

    def item(self):
        """A value, or an open container and how many heads follow in it."""
        major, value = self.head()
        rest = len(self.data) - self.at
        if major == 0:
            need(value < 1 << 53, "CBOR-010")
            return value, None
        if major == 2:
            return bytes(self.take(value)), None
        if major == 3:
            text = self.take(value)
            need(len(text) <= 128 and TEXT.issuperset(text), "CBOR-013")
            return text.decode(), None
        if major == 4:
            need(value <= rest, "CBOR-002")
            return [], value
        need(value <= 24, "CBOR-011")
        return {}, 2 * value


def strict(data, bounds):
    most_bytes, most_items, most_depth = bounds
    need(len(data) <= most_bytes, "CBOR-001")
    reader, items, open_, root = Reader(data), 0, [], None
    while True:
        items += 1
        need(items <= most_items, "CBOR-015")
        top = open_[-1] if open_ else None  # [container, heads left, the key whose value comes next]
        if top and isinstance(top[0], dict) and top[2] is None:
            top[1] -= 1
            top[2] = reader.key(max(top[0], default=-1) + 1)
        else:
            value, heads = reader.item()
            if heads is not None:
                need(len(open_) < most_depth, "CBOR-014")
                need(heads <= most_items - items, "CBOR-015")
            if top is None:
                root = value
            elif isinstance(top[0], dict):
                top[0][top[2]], top[2] = value, None
                top[1] -= 1
            else:
                top[0].append(value)
                top[1] -= 1
            if heads is not None:
                open_.append([value, heads, None])
        while open_ and open_[-1][1] == 0:
            open_.pop()
        if not open_:
            need(reader.at == len(data), "CBOR-003")
            return root


class Raw:
    def __init__(self, least, most=None):
        self.least, self.most = least, most or least


class Many:
    def __init__(self, of, least=0):
        self.of, self.least = of, least


class Maybe:
    def __init__(self, of):
        self.of = of


UINT, STRING, ANY, HASH = object(), object(), object(), Raw(32)


def typed(value, shape):
    """The typed decode. A byte string of UTF-8 in a text's place passes it, and fails as not the one encoding of its value."""
    odd = []
    _typed(value, shape, odd)
    need(not odd, "CBOR-017")
    return value


def _typed(value, shape, odd):
    wrong = "CBOR-016"
    if isinstance(shape, Maybe):
        _typed(value, shape.of, odd)
    elif shape is ANY:
        pass
    elif shape is UINT:
        need(isinstance(value, int), wrong)
    elif isinstance(shape, range):
        need(isinstance(value, int) and value in shape, wrong)
    elif shape is STRING and isinstance(value, bytes):
        try:
            odd.append(value.decode())
        except UnicodeDecodeError:
            need(False, wrong)
    elif shape is STRING:
        need(isinstance(value, str), wrong)
    elif isinstance(shape, Raw):
        need(isinstance(value, bytes) and shape.least <= len(value) <= shape.most, wrong)
    elif isinstance(shape, Many):
        need(isinstance(value, list) and len(value) >= shape.least, wrong)
        for inner in value:
            _typed(inner, shape.of, odd)
    elif isinstance(shape, tuple):
        need(isinstance(value, list) and len(value) == len(shape), wrong)
        for inner, of in zip(value, shape):
            _typed(inner, of, odd)
    else:
        need(isinstance(value, dict) and value.keys() <= shape.keys(), wrong)
        for key, of in shape.items():
            need(key in value or isinstance(of, Maybe), wrong)
            if key in value:
                _typed(value[key], of, odd)


def decode(data, bounds, shape):
    value = typed(strict(data, bounds), shape)
    need(cbor2.dumps(value) == data, "CBOR-017")
    return value


def envelope(data, most):
    need(len(data) <= most, "CBOR-001")
    reader = Reader(data)
    need(reader.expect(4) == 2, "CBOR-018")
    payload = reader.take(reader.expect(2))
    signature = reader.take(reader.expect(2))
    need(len(signature) == 64, "CBOR-018")
    need(reader.at == len(data), "CBOR-003")
    return bytes(payload), bytes(signature)
