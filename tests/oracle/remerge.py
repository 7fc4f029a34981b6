"""One merge, done again from the published payloads, and what its author published on top of it: section 5 of docs/PROTOCOL.md."""
import struct
from math import prod

from blake3 import blake3

import adapter
from adapter import Refused, Voice
from record import DISTANCE, UPDATE

TRIES = 16  # publications tried for a member left out as too distant, and combinations of such


class Payload:
    def __init__(self, data, values):
        self.data, self.values = data, values


def read_state(data, size):
    """X and v of a checkpoint blob; none if it is no momentum state of this size."""
    if len(data) != 16 * size:
        return None
    numbers = list(struct.unpack(f"<{2 * size}q", data))
    return (numbers[:size], numbers[size:]) if all(abs(n) <= adapter.HELD for n in numbers) else None


class Merged:
    def __init__(self, case, own, others, state):
        """Fails with MRG-001 where no merge is possible: a member twice, a publication too old, no momentum state."""
        policy, layout = case.policy, case.audit.layout
        voices = ([own] if own else []) + others
        adapter.need(len({v.member for v in voices}) == len(voices), "MRG-001")
        others = sorted(others, key=lambda v: case.order.index(v.member) if v.member in case.order else -1)
        far = adapter.far(own, others, policy.reach)
        near = ([own] if own else []) + [v for v in others if v not in far]
        base = adapter.base_round(policy.ages, own, near)
        used = [(v, adapter.weigh(policy.ages, base, v)) for v in near]
        adapter.need(all(w is not None for _, w in used) and sum(w for _, w in used) <= 65536, "MRG-001")
        self.far = [v.member for v in far]
        average = adapter.mean(used) if used else layout.start()
        self.values, self.v = adapter.move(average, state, policy.momentum, own)
        round_ = policy.round_after(adapter.goes_on_from(policy.ages, own, near))
        self.hash = adapter.merge_hash(case.audit.network, round_, used, self.values)

    def checkpoint(self):
        numbers = self.values + self.v
        return blake3(struct.pack(f"<{len(numbers)}q", *numbers)).digest()


class Case:
    """An update whose merge is recomputed; all its parents are known."""

    def __init__(self, audit, one, parents, order, manifest, own):
        self.audit, self.one, self.parents, self.order, self.own = audit, one, parents, order, own
        self.policy, self.claimed = manifest.policy, one.spec[3]
        self.distant = [manifest.members[skip[0]][0] for skip in one.spec[4] if skip[1] == DISTANCE]

    def voice(self, one):
        if self.own and self.own[0] == one.id:
            payload = self.own[1]
        else:
            payload = self.audit.payload(one)[0] if one.kind == UPDATE else None
        return payload and Voice(one.member, one.id, one.round, payload.values)

    def run(self, momentum, payload):
        """Codes, and the momentum state after the merge if it was recomputed."""
        own = next((p for p in self.parents if p.member == self.one.member), None)
        state = None
        if own and self.policy.momentum:
            if not momentum or momentum[0] != own.id:
                return ["MRG-003"], None
            state = momentum[1]
        voices = [self.voice(p) for p in self.parents]
        if None in voices:
            return ["MRG-003"], None
        # Of two own ones, which RULE-015 refuses, the last: then both verifiers say the same of what follows.
        mine = next((v for v in reversed(voices) if v.member == self.one.member), None)
        others = [v for v in voices if v.member != self.one.member]
        merged, codes = self.with_own(mine, others, state) if mine else self.afresh(others)
        if not merged:
            return codes, None
        failed = [code for code in codes if code != "MRG-008"]
        if not failed:
            codes += ["MRG-001"] if merged.hash != self.claimed else self.published(merged, payload)
        return codes, (merged.values, merged.v) if merged.v is not None else None

    def with_own(self, own, others, state):
        """Each member left out as too distant is judged by itself."""
        far, codes = [], []
        for member in self.distant:
            voices, more = self.candidates(member, own.round)
            apart = next((v for v in voices if adapter.far(own, [v], self.policy.reach)), None)
            if apart:
                far.append(member)
                others = others + [apart]
            else:
                codes.append("MRG-008" if more else "MRG-002")
        try:
            merged = Merged(self, own, others, state)
        except Refused:
            return None, ["MRG-001"]
        return merged, codes + (["MRG-002"] if merged.far != far else [])

    def afresh(self, others):
        """The medoid is that of all that were fetched: the combination that the author saw is searched for."""
        newest, sets, more = max((v.round for v in others), default=0), [], False
        for member in self.distant:
            voices, unknown = self.candidates(member, newest)
            more |= unknown
            if not voices:
                return None, ["MRG-003"]
            sets.append(voices)
        count, first = prod(map(len, sets)), None
        for number in range(min(count, TRIES)):
            chosen = list(others)
            for one in sets:
                number, place = divmod(number, len(one))
                chosen.append(one[place])
            try:
                merged = Merged(self, None, chosen, None)
            except Refused:
                if count == 1:
                    return None, ["MRG-001"]
                continue
            if merged.far == self.distant and merged.hash == self.claimed:
                return merged, []
            first = first or merged
        if more or count > TRIES:
            return None, ["MRG-008"]
        if not first:
            return None, ["MRG-001"]
        return first, ["MRG-002"] if first.far != self.distant else []

    def candidates(self, member, base):
        """What a record may have meant by a member too distant, near in logical time first; and whether there may be others."""
        fits = [r for r in self.audit.all if r.member == member and r.kind == UPDATE and not r.loose
                and adapter.weigh(self.policy.ages, base, r) is not None]
        fits.sort(key=lambda r: abs(r.clock - self.one.clock))
        voices = [self.voice(r) for r in fits[:TRIES]]
        return [v for v in voices if v], not fits or len(fits) > TRIES or None in voices

    def published(self, merged, payload):
        codes, policy = [], self.policy
        if payload:
            if adapter.distance2(payload.values, merged.values) > (policy.norm_bound << 16) ** 2:
                codes.append("MRG-004")
            if not self.frozen(merged, payload, self.one.spec[1]):
                codes.append("MRG-005")
        if self.one.state and (merged.v is None or merged.checkpoint() != self.one.state[0]):
            codes.append("MRG-006")
        return codes

    def frozen(self, merged, payload, phase):
        """Whether what did not train is exactly the encoding of the merge."""
        layout, codec = self.audit.layout, self.policy.codec
        trains = {0: (0, 1), 1: (0,), 2: (1,)}[phase]
        if all(factor in trains for _, factor, _, _ in layout.tensors):
            return True
        wanted, at = adapter.encode(layout, codec, merged.values), 0
        for (_, factor, _, _), n in zip(layout.tensors, layout.sizes):
            end = at + -(-n // adapter.BLOCK) + n * adapter.CODECS[codec][0] // 8
            if factor not in trains and wanted[at:end] != payload.data[at:end]:
                return False
            at = end
        return True
