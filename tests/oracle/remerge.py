"""One merge, done again from the published payloads, and what its author published on top of it: section 5 of docs/PROTOCOL.md."""

import math

import adapter
from adapter import Refused, Voice
from record import DISTANCE, UPDATE
from severity import INCOMPLETE


def covering(network, one, parents):
    """The merge hash that leaves the state of a record's checkpoint; none while a parent is missing."""
    if None in parents or len(one.spec[2]) != len(parents):
        return None
    used = [(parent.member, parent.id, weight) for parent, weight in zip(parents, one.spec[2])]
    return adapter.merge_hash(network, one.round, used, one.state[0])


def means(base, x, v, moved):
    """The least and the largest mean that give X = hold(mean + moved) and v = hold(mean - base)."""
    most = adapter.HELD

    def before(held, shift):
        """What gives `held` when `shift` is added to it and that is held."""
        return (most - shift if held == most else -most if held == -most else held - shift,
                -most - shift if held == -most else most if held == most else held - shift)
    (low, high), (from_, to) = before(v, -base), before(x, moved)
    return max(low, from_, -most), min(high, to, most)


class Payload:
    def __init__(self, data, values):
        self.data, self.values = data, values


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
        self.hash = adapter.used_hash(case.audit.network, round_, used, self.values, self.v)


class Case:
    """An update whose merge is recomputed; all its parents are known."""

    def __init__(self, audit, one, parents, manifest, own, payload):
        self.audit, self.one, self.parents, self.own, self.payload = audit, one, parents, own, payload
        self.policy, self.claimed = manifest.policy, one.spec[3]
        self.distant = [(manifest.members[skip[0]][0], skip[2]) for skip in one.spec[4] if skip[1] == DISTANCE]

    def voice(self, one):
        if self.own and self.own[0] == one.id:
            payload = self.own[1]
        else:
            payload = self.audit.payload(one)[0] if one.kind == UPDATE else None
        return payload and Voice(one.member, one.id, one.round, payload.values)

    def run(self, momentum):
        """Codes, whether the merge was recomputed, and the momentum state after it with whether somebody checked that."""
        own = next((p for p in self.parents if p.member == self.one.member), None)
        state, verified = None, True
        if own and self.policy.momentum:
            if not momentum or momentum[0] != own.id:
                return ["MRG-003"], False, None
            _, state, verified, _ = momentum
        voices = [self.voice(p) for p in self.parents]
        if None in voices:
            return ["MRG-003"], False, None
        # Of two own ones, which RULE-015 refuses, the last: then both verifiers say the same of what follows.
        mine = next((v for v in reversed(voices) if v.member == self.one.member), None)
        others = [v for v in voices if v.member != self.one.member]
        far = [self.named(member, id_) for member, id_ in self.distant]
        codes = ["MRG-008"] * far.count(None)
        far = [v for v in far if v]
        if codes and not mine:  # the middle of all that were fetched is not known without one of them
            return codes, False, None
        try:
            merged = Merged(self, mine, others + far, state)
        except Refused:
            return ["MRG-001"], False, None
        if merged.far != {v.member for v in far}:
            codes.append("MRG-002")
        codes += [] if verified else ["MRG-012"]
        if not [code for code in codes if code not in INCOMPLETE]:
            codes += ["MRG-001"] if merged.hash != self.claimed else self.published(merged.values)
        return codes, True, ((merged.values, merged.v), verified) if merged.v is not None else None

    def starts_as_said(self, momentum):
        """Whether whoever recomputes it from what its author's record before says starts from where the audit does."""
        own = next((p for p in self.parents if p and p.member == self.one.member), None)
        if not own or not self.policy.momentum:
            return True
        return bool(momentum) and momentum[0] == own.id and momentum[2] and momentum[3]

    def take_up(self):
        """Where the merge could not be recomputed, the state that its author vouches for, if nothing speaks against it."""
        if not self.one.state or covering(self.audit.network, self.one, self.parents) != self.claimed:
            return [], None
        state = self.audit.state(self.one)[0]
        codes = self.published(state[0]) if state else []
        return codes, (state, False) if state and not codes else None

    def partial(self, momentum, after):
        """Of a merge that misses payloads: MRG-013 if what its author made of it cannot be, and whether all of that was bounded."""
        policy, weights, total = self.policy, self.one.spec[2], sum(self.one.spec[2])
        own = next((p for p in self.parents if p.member == self.one.member), None)
        voices = [self.voice(p) for p in self.parents]
        if not own or None not in voices or any(p.codec != policy.codec for p in self.parents):
            return [], False
        mine, near = voices[self.parents.index(own)], None
        if mine and 1 <= total <= 65536:
            near = adapter.mean([(v or mine, w) for v, w in zip(voices, weights)])
            lost = sum(w for v, w in zip(voices, weights) if not v)
            apart = -(-lost * (policy.reach << 16) // total) + math.isqrt(len(near)) + 1
        if not policy.momentum:
            if not near or not self.payload:
                return [], False
            beyond = adapter.distance2(self.payload.values, near) > ((policy.norm_bound << 16) + apart) ** 2
            return ["MRG-013"] if beyond else [], not beyond
        if not after or not momentum or momentum[0] != own.id or not momentum[2]:
            return [], False
        (x, v), (x0, v0) = after[0], momentum[1]
        scaled = lambda number: adapter.rne(policy.momentum * number, 1 << 16)
        ranges = [means(a - scaled(c), b, d, scaled(d)) for a, b, c, d in zip(x0, x, v0, v)]
        if any(low > high for low, high in ranges):
            return ["MRG-013"], False
        if not near:
            return [], False
        beyond = sum((min(max(m, low), high) - m) ** 2 for m, (low, high) in zip(near, ranges)) > apart ** 2
        return ["MRG-013"] if beyond else [], not beyond and all(low == high for low, high in ranges)

    def named(self, member, id_):
        """The publication that was left out as too distant, if it is here and the member's."""
        one = self.audit.by_id.get(id_)
        return self.voice(one) if one and one.member == member and one.kind == UPDATE else None

    def published(self, merged):
        """What the payload breaks, if it is there, as work on this merge."""
        if not self.payload:
            return []
        far = adapter.distance2(self.payload.values, merged) > (self.policy.norm_bound << 16) ** 2
        return (["MRG-004"] if far else []) + ([] if self.frozen(merged, self.payload, self.one.spec[1]) else ["MRG-005"])

    def frozen(self, merged, payload, phase):
        """Whether what did not train is exactly the encoding of the merge."""
        layout, codec = self.audit.layout, self.policy.codec
        trains = {0: (0, 1, 2), 1: (0, 2), 2: (1, 2)}[phase]
        if all(factor in trains for _, factor, _, _ in layout.tensors):
            return True
        wanted, at = adapter.encode(layout, codec, merged), 0
        for (_, factor, _, _), n in zip(layout.tensors, layout.sizes):
            end = at + -(-n // adapter.BLOCK) + n * adapter.CODECS[codec][0] // 8
            if factor not in trains and wanted[at:end] != payload.data[at:end]:
                return False
            at = end
        return True
