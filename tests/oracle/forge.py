"""Forges small archives with valid signatures, in which members break one rule or another, and compares both verifiers on them."""
import argparse
import os
import random
import struct
import sys
import tempfile

import cbor2
from blake3 import blake3

import adapter
from adapter import Voice, derive
from council import Council, Key, sorted_map
from differential import compare
from forge_bound import keep_back, make_up, play
from forge_claims import checked, spend, unsorted
from forge_faults import accuse
from forge_logs import Logs
from record import CLOSE, DISTANCE, EVIDENCE_KIND, RELEASE, UPDATE


class Member:
    def __init__(self, rng, number):
        self.key, self.next, self.label = Key(rng), Key(rng) if rng.random() < 0.6 else None, f"m{number}"
        self.id, self.transport = derive("chorale v1 member id", self.key.public), rng.randbytes(8)
        self.incarnation, self.records, self.closed = 0, [], False  # records: (fields, id, envelope), newest last
        self.own, self.state = None, None  # newest publication: (voice, record id); momentum state after its merge
        self.reached = {}  # the newest round in each incarnation
        self.claim = {0: rng.choice([300, 1000, 30000]), 1: 500, 2: rng.choice([10000, 1000000]), 3: 1, 4: 200, 5: 6000}


class Forge(Council):
    def __init__(self, rng):
        self.rng, self.files, self.publications, self.frames = rng, {}, {}, {}
        self.made_up, self.urged = set(), False  # state hashes of merges that authors made up; whether the next one does
        self.seeds = {}  # by member and incarnation: what the next draw is made from
        self.members = sorted([Member(rng, i) for i in range(rng.randint(2, 5))], key=lambda m: m.id)
        self.governors = sorted([Key(rng) for _ in range(rng.randint(1, 3))], key=lambda k: k.public)
        self.former, self.stolen = list(self.governors), []  # who governed before; keys that were handed over
        self.roles, self.cuts, self.versions, self.wild = {m.id: 0 for m in self.members}, {}, [], rng.choice([0, 1, 1, 3])
        if rng.random() < 0.2:
            self.roles[rng.choice(self.members).id] = 1
        self.policy = self.new_policy()
        if rng.random() >= 0.02 * self.wild:
            self.policy[1][3] = blake3(adapter.f32_view(self.layout().start())).digest()
        self.logs = Logs(self)
        self.publish_manifest()
        self.clock = 0

    def new_policy(self):
        rng, rank = self.rng, self.rng.randint(1, 2)
        tensors = [{0: "a.A", 1: 0, 2: rank, 3: rng.randint(1, 70)}, {0: "a.B", 1: 1, 2: rank, 3: rng.randint(1, 40)}]
        if rng.random() < 0.3:
            tensors.append({0: "b", 1: 2, 2: rng.randint(1, 5), 3: rng.randint(1, 20)})
        ages = [65536, 46341, 37837, 32768][:rng.randint(1, 4)]
        rule = rng.choice([{0: 0}, {0: 0}, {0: 1, 1: rng.randint(1, 2)}, {0: 2}])
        return {0: bytes(32), 1: {0: rank, 1: 16, 2: rng.randrange(99), 3: bytes(32), 4: tensors}, 2: rule,
                3: {0: 1, 1: rng.choice([0, 32768, 65535]), 2: ages, 3: rng.choice([1 << 40, 1 << 18, 30000, 3000, 1500])}, 4: rng.randint(1, 4),
                5: 65536, 6: rng.randrange(2), 7: rng.choice([0, 3, 6]), 8: {0: rng.randint(1, 2), 1: 9}, 9: 0,
                10: rng.choice([0, 1, 1, 2]), 11: rng.choice([0, 0, 2]), 12: ["adapter"], **rng.choice([{}, {}, {13: 1}, {13: 2}]),
                **({15: {0: 6000, 1: rng.choice([2000, 90000])}} if rng.random() < 0.1 else {})}

    def layout(self):
        tensors = [tuple(t[key] for key in range(4)) for t in self.policy[1][4]]
        return adapter.Layout(tensors, self.policy[1][2])

    def blob(self, data):
        self.files[f"blobs/{blake3(data).hexdigest()}"] = data
        return blake3(data).digest(), len(data)

    def sign(self, member, fields, key=None):
        payload = cbor2.dumps(sorted_map({k: v for k, v in fields.items() if v is not None}))
        data = cbor2.dumps([payload, (key or member.key).sign(b"record", payload)])
        return derive("chorale v1 record id", payload), data

    def header(self, member, kind):
        fields, hash_ = self.versions[-1] if self.rng.random() >= 0.01 * self.wild else self.rng.choice(self.versions)
        here = [record for record in member.records if record[0][5] == member.incarnation]
        prev = (here or member.records or [None])[-1]
        same = bool(here)
        return {0: 1, 1: self.network, 2: kind, 3: member.id, 4: member.key.public, 5: member.incarnation,
                6: prev[0][6] + 1 if same else 0, 7: prev[1] if prev else None, 8: fields[2], 9: hash_,
                10: 1 + (prev[0][10] if prev else 0), 11: 60 * self.rng.randrange(9), 15: [], 17: self.logs.seen()}

    def add(self, member, fields):
        clean = dict(fields)  # what the author goes on from, and others believe, however odd what it signs
        if self.rng.random() < 0.05 * self.wild:
            self.tweak(fields)
        for key in (5, 6, 10):
            if isinstance(fields.get(key), int) and not isinstance(fields[key], bool) and 0 <= fields[key] < 1 << 40:
                clean[key] = fields[key]
        record, data = self.sign(member, fields, self.rng.choice(self.members).key if self.rng.random() < 0.01 * self.wild else None)
        self.frames.setdefault((member.id, member.incarnation), []).append(data)
        member.records.append((clean, record, data))
        self.logs.accept(data)
        self.clock_of[record] = clean[10]
        return record

    def tweak(self, fields):
        """Breaks one field or another before signing."""
        rng = self.rng
        spec = fields[16]
        if rng.random() < 0.2:
            return self.rare(fields, spec)
        if rng.random() < 0.5:
            key = rng.choice([3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
            if isinstance(fields.get(key), int):
                fields[key] = max(0, fields[key] + rng.choice([-1, 1, 2, 60, 1 << 21]))
            elif key == 15:
                others = [record[1] for member in self.members for record in member.records] + [rng.randbytes(32)]
                extra = {0: rng.randrange(len(self.members) + 1), 1: rng.choice(others)}
                rest = [parent for parent in fields[15] if parent[0] != extra[0]]
                fields[15] = sorted([*rest, extra], key=lambda p: p[0]) if rng.random() < 0.6 else fields[15][1:]
                if 2 in spec and isinstance(spec[2], list) and rng.random() < 0.8:
                    spec[2] = (spec[2] + [1024])[:len(fields[15])]
            else:
                fields[key] = rng.choice([None, rng.randbytes(32), rng.choice(self.members).id])
            return
        key = rng.choice(sorted(spec))
        if isinstance(spec[key], int):
            spec[key] = max(0, spec[key] + rng.choice([-1, 1, 3, 1 << 30]))
        elif key == 2:
            spec[2] = [max(1, weight + rng.choice([0, -1, 1])) for weight in spec[2]]
        elif key == 4:
            extra = [{0: rng.randrange(len(self.members)), 1: rng.choice([0, 5])}]
            other = [{**skip, 1: rng.choice([1, 2, 3, 4]) if 2 in skip else rng.choice([0, 5, 1])} for skip in spec[4]]
            elsewhere = [{**skip, 2: self.some_record()} if 2 in skip else skip for skip in spec[4]]
            spec[4] = rng.choice([spec[4][1:], spec[4] + extra, spec[4][::-1], other, elsewhere])
        elif isinstance(spec[key], bytes):
            spec[key] = rng.randbytes(32)
        elif key == 12:
            spec[12] = unsorted(rng, spec[12])
        elif key == 11:
            spec[11] = {0: rng.choice([spec[11][0], rng.randbytes(32)]), 1: spec[11][1] + rng.randrange(2)}

    def some_record(self):
        return self.rng.choice([record[1] for member in self.members for record in member.records] + [self.rng.randbytes(32)])

    def rare(self, fields, spec):
        """What else a record may get wrong."""
        rng, what = self.rng, self.rng.randrange(10)
        if what == 0:
            fields[rng.choice([0, 2])] += 1
        elif what == 1:
            fields[1] = rng.randbytes(32)
        elif what == 2:
            fields[15] = fields[15][::-1]
        elif what == 3 and fields[2] == RELEASE:
            spec[1] = rng.choice(["", "R", b"r", b"\xff", "a" * 65])
        elif what == 4 and fields[2] == UPDATE:
            spec[9] = {key: rng.choice([5, 1_000_001]) for key in range(6)}
        elif what == 5 and fields[2] == UPDATE:
            spec[11] = dict(enumerate(self.blob(rng.randbytes(8 * self.layout().size + 6 * rng.randrange(3))))) if rng.random() < 0.7 else {0: bytes(32), 1: 0}
        elif what == 6 and fields[2] == UPDATE:
            fields[12], fields[13] = self.blob(rng.randbytes(fields[13] + rng.randrange(2)))
        elif what == 7:
            spec[rng.randrange(14)] = rng.choice([0, b"", "x", [], {}])
        elif what == 8:
            fields[rng.randrange(24)] = rng.choice([0, b"", "x", [], {}, 1 << 53, -1, True, 1.5, "\x1b"])
        elif fields[2] == UPDATE and fields[15]:
            for parent in fields[15]:  # the same members, and other records of theirs
                parent[1] = rng.choice([r[1] for r in self.members[parent[0]].records] or [bytes(32)])

    def gather(self, member, order):
        """Whom the member fetches, and whom it skips: as the rules say."""
        policy, fetched, skipped = self.policy, [], []
        places = {m.id: i for i, m in enumerate(self.members)}
        for other in order:
            if len(fetched) >= policy[4]:
                break
            known = [v for v in self.publications.get(other, [])[-2:] if v.round]
            voice = self.rng.choice(known) if known and self.rng.random() < 0.9 else None
            base = member.own.round if member.own else None
            stale = voice and base is not None and adapter.weigh(policy[3][2], base, voice) is None
            if stale:
                skipped.append({0: places[other], 1: 1, 2: voice.record})
            elif voice is None and known and self.rng.random() < 0.9:
                skipped.append({0: places[other], 1: self.rng.choice([2, 4]), 2: known[-1].record})
            elif voice is None:
                skipped.append({0: places[other], 1: 0})
            else:
                fetched.append(voice)
        return fetched, skipped, places

    def update(self, member):
        rng, policy, layout = self.rng, self.policy, self.layout()
        if member.own and policy[7] and member.own.round >= policy[7] and rng.random() < 1 - 0.2 * self.wild:
            return None
        fields = self.header(member, UPDATE)
        cut = {c[0] for c in self.versions[-1][0][7]}
        candidates = [m.id for m in self.members if m is not member and self.roles[m.id] == 0 and m.id not in cut]
        seed = self.seeds.get((member.id, fields[5]), (0, []))
        order = adapter.draw(self.network, member.id, fields[5], seed, candidates)
        if member.own and rng.random() < 0.08:
            member.own = None
        own, (others, skipped, places) = member.own, self.gather(member, order)
        while not own and others:  # what is too old is not merged by a newcomer
            common = adapter.base_round(policy[3][2], None, others)
            stale = [v for v in others if adapter.weigh(policy[3][2], common, v) is None]
            if not stale:
                break
            others = [v for v in others if v not in stale]
            skipped += [{0: places[v.member], 1: 1, 2: v.record} for v in stale]
        far = adapter.far(own, others, policy[3][3])
        skipped += [{0: places[v.member], 1: DISTANCE, 2: v.record} for v in far]
        skipped.sort(key=lambda skip: order.index(self.members[skip[0]].id))
        near = ([own] if own else []) + [v for v in others if v not in far]
        used = sorted(((v, adapter.weigh(policy[3][2], adapter.base_round(policy[3][2], own, near), v)) for v in near), key=lambda u: u[0].member)
        if any(w is None for _, w in used) or len({v.member for v, _ in used}) < len(used):
            return None
        average = adapter.mean(used) if used else layout.start()
        state = member.state if own else None
        merged, v = make_up(self, *adapter.move(average, state, policy[3][1], own))
        before = adapter.goes_on_from(policy[3][2], own, near)
        round_ = min(before + 1, policy[7]) if policy[7] else before + 1
        if round_ <= member.reached.get(fields[5], 0) and rng.random() < 1 - 0.1 * self.wild:
            return None
        member.reached[fields[5]] = round_
        values, phase, data = self.train(layout, merged, round_)
        hash_, length = self.blob(data)
        spec = {0: round_, 1: phase, 2: [w for _, w in used], 3: adapter.used_hash(self.network, round_, used, merged, v),
                4: skipped, 5: rng.randint(1, 9), 6: rng.choice([0, 1, 64])}
        if 15 in policy or rng.random() < 0.3:
            spec[9] = spend(rng, member, self.wild)
        if policy[3][1] and policy[10] and round_ % policy[10] == 0:
            spec[11] = dict(enumerate(self.blob(adapter.checkpoint(merged, v))))
        if rng.random() < 0.7 and (ids := checked(rng, self.members, member, self.wild)):
            spec[12] = ids
        clocks = [self.clock_of[v.record] for v, _ in used]
        fields.update({10: 1 + max([fields[10] - 1] + clocks), 12: hash_, 13: length, 14: policy[6],
                       15: [{0: places[v.member], 1: v.record} for v, _ in used], 16: spec})
        record = self.add(member, fields)
        if isinstance(spec[0], int) and isinstance(fields[15], list):
            others_merged = [p[1] for p in fields[15] if p[0] != places[member.id] and isinstance(p[1], bytes)]
            self.seeds[member.id, member.incarnation] = max(0, min(int(spec[0]), (1 << 53) - 1)), others_merged
        if isinstance(spec[0], int) and 0 <= spec[0] < 1 << 40:
            round_ = int(spec[0])
        member.own, member.state = Voice(member.id, record, round_, values), (merged, v)
        self.publications.setdefault(member.id, []).append(member.own)
        return record

    def train(self, layout, merged, round_):
        """Something near the merge where the phase trains, and the merge elsewhere; now and then neither."""
        rng, rule, codec = self.rng, self.policy[2], self.policy[6]
        phase = {0: 0, 1: 1 if rule.get(1) and round_ // rule[1] % 2 else 2, 2: 2}[rule[0]]
        trains = {0: (0, 1, 2), 1: (0, 2), 2: (1, 2)}[phase]
        wild = rng.random() < 0.03 * self.wild
        values = list(merged)
        for (_, factor, _, _), start, end in layout.spans():
            if factor in trains or wild:
                step = 1 << (35 if wild else 27)
                values[start:end] = [adapter.hold(x + rng.randint(-step, step)) for x in values[start:end]]
        data = bytearray(adapter.encode(layout, codec, values))
        if rng.random() < 0.02 * self.wild:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            return adapter.decode(layout, codec, bytes(data)), phase, bytes(data)
        except adapter.Refused:
            return values, phase, bytes(data)

    def event(self):
        """What one member does next."""
        rng = self.rng
        member, dice = rng.choice(self.members), rng.random()
        if member.closed and rng.random() < 1 - 0.1 * self.wild:
            return
        if dice < 0.80:
            self.update(member)
        elif dice < 0.84 and member.own:
            fields = self.header(member, RELEASE)
            record, place = member.own.record, self.members.index(member)
            fields.update({10: 1 + max(fields[10] - 1, self.clock_of[record]), 15: [{0: place, 1: record}], 16: {0: member.own.round, 1: "r"}})
            self.add(member, fields)
        elif dice < 0.86:
            self.add(member, {**self.header(member, CLOSE), 16: {0: 0}})
            member.closed = True
        elif dice < 0.90 and member.records:
            back = self.wild and member.incarnation and rng.random() < 0.2
            member.incarnation, member.closed = member.incarnation + (-1 if back else 1), False
            if rng.random() < 0.5:
                member.own = None
        elif dice < 0.92 and self.wild:
            self.fork(member)
        elif dice < 0.935 and self.wild:
            accuse(self)
        elif dice < 0.95 and self.stolen:
            self.thief(*rng.choice(self.stolen))
        elif dice < 0.98:
            self.amend()
        elif self.wild:
            self.double_vote()
        if rng.random() < 0.3:
            self.logs.event()

    def fork(self, member):
        """A second record in some place, and perhaps somebody who proves it."""
        if not member.records:
            return
        fields, record, data = self.rng.choice(member.records)
        follows = {**fields, 7: self.rng.randbytes(32), 6: fields[6] + 1}
        other = {**fields, 11: fields[11] + 60} if self.rng.random() < 0.7 else follows
        twin, envelope = self.sign(member, other)
        if self.rng.random() < 0.7:
            self.frames.setdefault((member.id, fields[5]), []).append(envelope)
        pair = sorted([(record, data), (twin, envelope)]) if other[6] == fields[6] else [(record, data), (twin, envelope)]
        bundle = cbor2.dumps([int(other[6] != fields[6]), pair[0][1], pair[1][1]])
        witness, digest = self.rng.choice(self.members), blake3(bundle).digest()
        if self.rng.random() < 0.7:
            self.files[f"{self.rng.choice(['evidence', 'evidence', 'blobs'])}/{digest.hex()}"] = bundle
        if self.rng.random() < 0.7:
            accused = {0: member.id, 1: fields[5], 2: fields[6] + (self.rng.random() < 0.1)}
            self.add(witness, {**self.header(witness, EVIDENCE_KIND), 12: digest, 13: len(bundle), 16: accused})

    def thief(self, member, key, before, head):
        """Whoever has the key of before a handover goes on from somewhere under the version of then."""
        rng, (version, hash_) = self.rng, before
        fields, record, _ = rng.choice(member.records) if rng.random() < 0.5 else head
        opens = rng.random() < 0.3
        fields = {**fields, 5: fields[5] + opens, 6: 0 if opens else fields[6] + 1, 7: record, 8: version, 9: hash_,
                  4: key.public, 10: fields[10] + 1}
        if rng.random() < 0.2:
            fields.update({8: self.versions[-1][0][2], 9: self.versions[-1][1]})
        _, data = self.sign(member, fields, key)
        self.frames.setdefault((member.id, fields[5]), []).append(data)

    def run(self):
        self.clock_of = {}
        play(self)
        for _ in range(self.rng.randint(5, 40)):
            self.event()

    def write(self, folder):
        """The archive, now and then with something lost, doubled, swapped or strange."""
        rng = self.rng
        self.logs.write(self.files)
        keep_back(self)
        for (member, incarnation), frames in self.frames.items():
            if rng.random() < 0.1 * self.wild and len(frames) > 1:
                place = rng.randrange(len(frames))
                frames.insert(rng.randrange(len(frames)), frames.pop(place)) if rng.random() < 0.3 else frames.pop(place)
            if rng.random() < 0.05 * self.wild:
                frames.append(rng.choice(rng.choice(list(self.frames.values())) or [b""]))
            data = b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
            self.files[f"feeds/{member.hex()}.{incarnation}"] = data
        if rng.random() < 0.1 * self.wild:
            name = rng.choice(sorted(self.files))
            at, data = rng.randrange(len(self.files[name]) or 1), self.files[name]
            self.files[name] = rng.choice([data[:at] + bytes([data[at] ^ 1]) + data[at + 1:] if data else b"", data[:at], data + b"\0"])
        if rng.random() < 0.05 * self.wild:
            self.files[f"manifests/{rng.randint(1, 3):06}"] = self.files[rng.choice([n for n in self.files if n[0] in "gm"])]
        if rng.random() < 0.2 * self.wild:
            del self.files[rng.choice(sorted(self.files))]
        if rng.random() < 0.1 * self.wild:
            self.files[rng.choice(["odd", "blobs/odd", "feeds/" + "0" * 64 + ".00", "manifests/000009"])] = b"odd"
        for name, data in self.files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)

    def anchors(self):
        """None, a few of any kind, or the newest record of each member, as an auditor may have them."""
        newest = [member.records[-1][1].hex() if member.records else f"none:{member.id.hex()}" for member in self.members]
        if self.rng.random() < 0.4:
            return newest
        ids = [record[1].hex() for member in self.members for record in member.records] + ["0" * 64]
        others = [f"none:{member.id.hex()}" for member in self.members]
        others += [f"manifest:{hash_.hex()}" for _, hash_ in self.versions] + [f"manifest:{self.rng.randbytes(32).hex()}"]
        return self.rng.sample(ids + others, self.rng.randrange(3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("auditor", help="chorale-audit")
    parser.add_argument("--count", type=int, default=200, help="archives")
    parser.add_argument("--seed", type=int, default=1, help="of the first; each has the next one")
    args = parser.parse_args()
    differences, codes, first = 0, set(), args.seed
    args.allow_unanchored = True
    for args.seed in range(first, first + args.count):
        with tempfile.TemporaryDirectory() as folder:
            forge = Forge(random.Random(args.seed))
            forge.run()
            forge.write(folder)
            args.anchor = forge.anchors()
            args.network, args.no_recompute = forge.network.hex(), args.seed % 20 == 0
            args.witnesses = forge.rng.choice([0, 0, 0, 1, 3])
            differences += not compare(folder, args, "forged", codes)
    print(f"seeds {first} to {args.seed}: {differences} differences, codes seen: {' '.join(sorted(codes))}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
