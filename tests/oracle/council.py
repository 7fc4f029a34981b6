"""Governors of a forged archive: manifests, keys that change, members that leave, votes given twice."""
import cbor2
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapter import derive


class Key:
    def __init__(self, rng):
        self.private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.public = self.private.public_key().public_bytes_raw()

    def sign(self, domain, payload):
        return self.private.sign(b"chorale/%s/v1\0" % domain + payload)


def sorted_map(fields):
    return {key: fields[key] for key in sorted(fields)}


def present(fields):
    return sorted_map({key: value for key, value in fields.items() if value is not None})


class Council:
    """The part of a forge that writes manifests."""

    def publish_manifest(self, handovers=()):
        fields = {0: 1, 2: len(self.versions), 4: [g.public for g in self.governors], 5: len(self.governors) // 2 + 1,
                  6: [self.entry(m) for m in self.members], 7: [self.cuts[m] for m in sorted(self.cuts)], 8: self.policy}
        if handovers:
            fields[9] = sorted(handovers, key=lambda handover: handover[0])
        if self.versions:
            fields.update({1: self.network, 3: self.versions[-1][1]})
        voters = sorted({g.public: g for g in (*self.former, *self.governors)}.values(), key=lambda g: g.public)
        self.former = list(self.governors)
        if self.versions and self.rng.random() < 0.1 * self.wild:
            voters = self.spoil(fields, voters)
        payload = cbor2.dumps(present(fields))
        data = cbor2.dumps([payload, [[g.public, g.sign(b"manifest", payload)] for g in voters]])
        if not self.versions:
            self.network = derive("chorale v1 network id", payload)
        self.files["genesis" if not self.versions else f"manifests/{len(self.versions):06}"] = data
        self.versions.append((fields, derive("chorale v1 manifest hash", payload)))

    def spoil(self, fields, voters):
        """Breaks a rule of manifests; who votes."""
        rng, members = self.rng, [dict(m) for m in fields[6]]
        member, what = rng.choice(members), rng.randrange(14)
        if what < 3:
            member[rng.choice([0, 2])] = rng.choice([rng.randbytes(32), members[0][2], bytes(32), bytes([1]) + bytes(31)])
            fields[6] = members
        elif what < 5:
            member.update(rng.choice([{1: "M"}, {1: members[0][1]}, {3: []}, {3: members[0][3]}, {4: 3}, {1: b"m"}]))
            fields[6] = members if rng.random() < 0.9 else members[::-1]
        elif what < 8:
            key = rng.choice([0, 1, 2, 3, 5])
            fields[key] = rng.choice([rng.randbytes(32), None, fields[key] + 1 if isinstance(fields[key], int) else 0])
        elif what < 9:
            fields[7] = fields[7][1:] if rng.random() < 0.5 else fields[7] + fields[7]
        elif what < 10:
            fields[8] = {**fields[8], rng.choice([4, 6, 7, 8, 11]): rng.choice([0, 64, 65536, {0: 2, 1: 1}])}
        elif what < 12:
            extra = {0: rng.choice([member[0], rng.randbytes(32)]), 1: 0}
            fields[9] = rng.choice([[], fields.get(9, []) + [extra], fields.get(9, [])[1:], [{**extra, 3: 1}]])
        else:
            return rng.choice([voters[1:], voters[::-1], sorted(voters + [Key(rng)], key=lambda k: k.public), voters + voters])
        return voters

    def entry(self, member):
        """A member as the manifest lists it."""
        entry = {0: member.id, 1: member.label, 2: member.key.public, 3: [member.transport], 4: self.roles[member.id]}
        return {**entry, 5: derive("chorale v1 next key", member.next.public)} if member.next else entry

    def amend(self):
        """A later version: another policy, a new key, a cut, a member less, another governor."""
        rng, member, before, handovers = self.rng, self.rng.choice(self.members), self.policy, []
        what = rng.randrange(24)
        if what < 7:
            mean = {**before[3], 2: [65536, 50000][:rng.randint(1, 2)], 3: rng.choice([1 << 40, 1500])}
            self.policy = {**before, 3: mean, 4: rng.randint(1, 4)}
        elif what < 12:
            handovers = self.rotate(member)
        elif what < 13:
            member.next = rng.choice([None, Key(rng)])
        elif what < 17 and member.records and member.id not in self.cuts:
            fields, record, _ = rng.choice(member.records)
            self.cuts[member.id] = self.place(member, fields[5], fields[6], record)
        elif what < 19 and len(self.members) > 2:
            self.drop(member)
        elif what < 21:
            self.governors[rng.randrange(len(self.governors))] = Key(rng)
            self.governors.sort(key=lambda governor: governor.public)
        elif what == 23 and self.wild:
            key = rng.choice([0, 1, 3, 4, 6, 12])
            mean = {**before[3], 1: before[3][1] ^ 32768}
            other = {0: rng.randbytes(32), 1: {**before[1], 2: 1}, 3: mean, 4: 64, 6: 1, 12: rng.choice([["x"], [], ["adapter"] * 2])}
            self.policy = {**before, key: other[key]}
        self.publish_manifest(handovers)
        if what == 23:
            self.policy = before

    def place(self, member, incarnation, seq, record):
        """A cut or a handover; now and then nothing of the incarnation stands."""
        whole = {0: member.id, 1: incarnation, 2: [seq, record]}
        if self.rng.random() < 0.2:
            del whole[2]
        return whole

    def rotate(self, member):
        """A new key, mostly the one committed to, and where the old one ends: mostly with the newest record."""
        rng, old = self.rng, member.key
        committed = member.next if member.next and rng.random() < 0.7 else Key(rng)
        member.key = rng.choice([key for _, key, *_ in self.stolen]) if self.stolen and rng.random() < 0.05 else committed
        member.next = Key(rng) if rng.random() < 0.6 else member.next if rng.random() < 0.2 else None
        head = member.records[-1] if member.records and rng.random() < 0.7 else rng.choice(member.records or [None])
        fields = head[0] if head else {5: 0, 6: 0}
        handover = self.place(member, fields[5], fields[6], head[1] if head else bytes(32)) | self.logs.end(member)
        newest = max([member.incarnation] + [record[0][5] for record in member.records])
        member.incarnation, member.closed = newest + (rng.random() >= 0.1 * self.wild), False
        if rng.random() < 0.5:
            member.own = None
        if head:
            version = self.versions[-1]
            self.stolen.append((member, old, (version[0][2], version[1]), head))
        return [] if rng.random() < 0.05 * self.wild else [handover]

    def drop(self, member):
        """A member less, or one that only reads; its cut is missing now and then."""
        rng = self.rng
        if rng.random() >= 0.1 * self.wild and member.id not in self.cuts:
            fields, record, _ = (member.records or [({5: 0, 6: 0}, bytes(32), None)])[-1]
            self.cuts[member.id] = self.place(member, fields[5], fields[6], record)
        if rng.random() < 0.3:
            self.roles[member.id] = 1
        else:
            self.members.remove(member)

    def double_vote(self):
        """A manifest against one of the chain, with votes of those who voted for that, of others, or of none."""
        rng, (fields, _) = self.rng, self.rng.choice(self.versions)
        other = {**fields, 8: {**fields[8], 4: fields[8][4] % 5 + 1}} if rng.random() < 0.9 else dict(fields)
        if rng.random() < 0.1 and isinstance(other[2], int):
            other[2] += rng.choice([1, 40])
        known = sorted({g.public: g for g in (*self.governors, *self.former, Key(rng))}.values(), key=lambda g: g.public)
        voters = [g for g in known if rng.random() < 0.6]
        payload = cbor2.dumps(present(other))
        votes = [[g.public, g.sign(b"manifest" if rng.random() < 0.95 else b"record", payload)] for g in voters]
        data = cbor2.dumps([payload, votes])
        name = blake3(data).hexdigest() if rng.random() < 0.9 else rng.randbytes(32).hex()
        self.files[f"{rng.choice(['conflicts'] * 9 + ['evidence'])}/{name}"] = data
