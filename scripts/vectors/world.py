"""A network, its members and their records, encoded by cbor2, hashed by blake3 and signed by cryptography."""

import cbor2
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RECORD, MANIFEST, PRESENCE = (f"chorale/{what}/v1\0".encode() for what in ("record", "manifest", "presence"))


def cbor(value):
    return cbor2.dumps(value, canonical=True)


def derive(context, *parts):
    return blake3(b"".join(parts), derive_key_context=context).digest()


def seed(name):
    return blake3(f"vector {name}".encode()).digest()


def secret(name):
    return Ed25519PrivateKey.from_private_bytes(seed(name))


def public(name):
    return secret(name).public_key().public_bytes_raw()


def member_id(name):
    return derive("chorale v1 member id", public(name))


def transport(name):
    return bytes.fromhex("002408011220") + seed(f"transport {name}")


def sign(name, domain, payload):
    return secret(name).sign(domain + payload)


def envelope(payload, name, domain=RECORD):
    return cbor([payload, sign(name, domain, payload)])


def record_id(sealed):
    return derive("chorale v1 record id", cbor2.loads(sealed)[0])


def changed(base, changes):
    """`base` with some keys set; None removes a key; a tuple of keys goes down."""
    base = dict(base)
    for path, value in changes.items():
        key, *rest = path if isinstance(path, tuple) else (path,)
        if rest:
            base[key] = changed(base[key], {tuple(rest): value})
        elif value is None:
            base.pop(key, None)
        else:
            base[key] = value
    return base


A, B = "layers.0.q_proj.lora_A.weight", "layers.0.q_proj.lora_B.weight"
POLICY = {
    0: b"\xba" * 32,
    1: {0: 2, 1: 4, 2: 7, 3: bytes(32), 4: [{0: A, 1: 0, 2: 2, 3: 8}, {0: B, 1: 1, 2: 2, 3: 6}]},
    2: {0: 1, 1: 2},
    3: {0: 1, 1: 32768, 2: [65536, 46341, 37837, 32768], 3: 262144},
    4: 3,
    5: 65536,
    6: 0,
    7: 0,
    8: {0: 1, 1: 32},
    9: 0,
    10: 0,
    11: 0,
    12: ["adapter"],
}


def member(name, role=0):
    return {0: member_id(name), 1: name, 2: public(name), 3: [transport(name)], 4: role}


def members(*names):
    return sorted((member(*name) if isinstance(name, tuple) else member(name) for name in names), key=lambda m: m[0])


def governors(*names):
    return sorted(public(name) for name in names)


def voted(payload, *names):
    votes = sorted([public(name), sign(name, MANIFEST, payload)] for name in names)
    return cbor([payload, votes])


GENESIS = {
    0: 1,
    2: 0,
    4: governors("g0", "g1", "g2"),
    5: 2,
    6: members("anna", "ben", "carl", ("olga", 1), ("rita", 2)),
    7: [],
    8: POLICY,
}
GENESIS_PAYLOAD = cbor(GENESIS)
GENESIS_SIGNED = voted(GENESIS_PAYLOAD, "g0", "g1", "g2")
NETWORK = derive("chorale v1 network id", GENESIS_PAYLOAD)


def manifest_hash(payload):
    return derive("chorale v1 manifest hash", payload)


# Version 1: carl is gone, and his records stand up to seq 1.
UPDATE = {0: 1, 1: 2, 2: [], 3: b"\x3e" * 32, 4: [], 5: 8, 6: 64, 7: 2400000, 8: 2300000}


def record(name, seq=0, prev=None, version=0, **more):
    """The payload of an update, as a map."""
    return changed(
        {
            0: 1,
            1: NETWORK,
            2: 0,
            3: member_id(name),
            4: public(name),
            5: 0,
            6: seq,
            8: version,
            9: manifest_hash(GENESIS_PAYLOAD),
            10: seq + 1,
            11: 1700000040,
            12: seed(f"body {name} {seq}"),
            13: 66,
            14: 0,
            15: [{0: 0, 1: prev}] if prev else [],
            16: UPDATE | {0: seq + 1, 1: 2 - (seq + 1) // 2 % 2, 2: [1024] if prev else []},
        },
        {7: prev} | more.get("changes", {}),
    )


def sealed(name, *args, **more):
    return envelope(cbor(record(name, *args, **more)), name)


CARL = [sealed("carl")]
CARL.append(sealed("carl", 1, record_id(CARL[0])))
CARL.append(sealed("carl", 2, record_id(CARL[1])))
NEXT = GENESIS | {
    1: NETWORK,
    2: 1,
    3: manifest_hash(GENESIS_PAYLOAD),
    6: members("anna", "ben", "dora", ("olga", 1), ("rita", 2)),
    7: [{0: member_id("carl"), 1: 0, 2: [1, record_id(CARL[1])]}],
}
NEXT_PAYLOAD = cbor(NEXT)
NEXT_SIGNED = voted(NEXT_PAYLOAD, "g0", "g1")
CHAIN = [GENESIS_SIGNED, NEXT_SIGNED]


def next_key(name):
    return derive("chorale v1 next key", public(name))


def rekeyed(*pairs, also=()):
    """Members whose keys are those of others: anna is still anna, and signs as anna2. `also` are as they were."""
    changed_ = [changed(member(name), {2: public(key)}) for name, key in pairs]
    return sorted([*changed_, *members(*also)], key=lambda m: m[0])


def handover(name, last=None, incarnation=0):
    return {0: member_id(name), 1: incarnation} | ({2: last} if last else {})


# Another version 1: anna signs as anna2; what anna signed stands up to seq 1.
ANNA = [sealed("anna")]
ANNA.append(sealed("anna", 1, record_id(ANNA[0])))
ANNA.append(sealed("anna", 2, record_id(ANNA[1])))
ROTATED = GENESIS | {
    1: NETWORK,
    2: 1,
    3: manifest_hash(GENESIS_PAYLOAD),
    6: rekeyed(("anna", "anna2"), also=("ben", "carl", ("olga", 1), ("rita", 2))),
    9: [handover("anna", [1, record_id(ANNA[1])])],
}
ROTATED_PAYLOAD = cbor(ROTATED)
ROTATED_CHAIN = [GENESIS_SIGNED, voted(ROTATED_PAYLOAD, "g0", "g1")]


def as_anna2(seq=0, prev=None, incarnation=1, **more):
    """A record of anna under the new version, signed by the new key."""
    newest = {3: member_id("anna"), 5: incarnation, 8: 1, 9: manifest_hash(ROTATED_PAYLOAD)}
    return sealed("anna2", seq, prev, changes=newest | more.get("changes", {}))
