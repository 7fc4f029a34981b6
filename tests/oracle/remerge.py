"""One merge, done again from the published payloads, and what its author published on top of it: section 5 of docs/PROTOCOL.md."""
import struct

from blake3 import blake3

import adapter
from adapter import Refused, Voice
from record import DISTANCE, UPDATE


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
        far = adapter.far(own, others, policy.reach)
        near = ([own] if own else []) + [v for v in others if v not in far]
        base = adapter.base_round(policy.ages, own, near)
        used = [(v, adapter.weigh(policy.ages, base, v)) for v in near]
        adapter.need(all(w is not None for _, w in used) and sum(w for _, w in used) <= 65536, "MRG-001")
        self.far = {v.member for v in far}
        average = adapter.mean(used) if used else layout.start()
        self.values, self.v = adapter.move(average, state, policy.momentum, own)
        round_ = policy.round_after(adapter.goes_on_from(policy.ages, own, near))
        self.hash = adapter.merge_hash(case.audit.network, round_, used, self.values)

    def checkpoint(self):
        numbers = self.values + self.v
        return blake3(struct.pack(f"<{len(numbers)}q", *numbers)).digest()


class Case:
    """An update whose merge is recomputed; all its parents are known."""

    def __init__(self, audit, one, parents, manifest, own):
        self.audit, self.one, self.parents, self.own = audit, one, parents, own
        self.policy, self.claimed = manifest.policy, one.spec[3]
        self.distant = [(manifest.members[skip[0]][0], skip[2]) for skip in one.spec[4] if skip[1] == DISTANCE]

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
        far = [self.named(member, id_) for member, id_ in self.distant]
        codes = ["MRG-008"] * far.count(None)
        far = [v for v in far if v]
        if codes and not mine:  # the middle of all that were fetched is not known without one of them
            return codes, None
        try:
            merged = Merged(self, mine, others + far, state)
        except Refused:
            return ["MRG-001"], None
        if merged.far != {v.member for v in far}:
            codes.append("MRG-002")
        else:
            codes += ["MRG-001"] if merged.hash != self.claimed else self.published(merged, payload)
        return codes, (merged.values, merged.v) if merged.v is not None else None

    def named(self, member, id_):
        """The publication that was left out as too distant, if it is here and the member's."""
        one = self.audit.by_id.get(id_)
        return self.voice(one) if one and one.member == member and one.kind == UPDATE else None

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
