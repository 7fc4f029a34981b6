"""One member's records in the order of their places: linked, and held against the rules, the draw and the merges."""
import adapter
import privacy
import remerge
from adapter import Refused
from record import ABSENT, CLOSE, DISTANCE, EVIDENCE_KIND, FAULT, MERGE, PAYLOAD_FLAW as PAYLOAD, RELEASE, UPDATE
from severity import INCOMPLETE


class Walk:
    """One member's records, one after the other: what they build on, whom they merged, what they published."""

    def __init__(self, audit):
        self.audit, self.notes = audit, audit.notes
        self.lacking, self.used = [], {}  # (code if others rest on it, else, record, whether bounded); the last record of each other member built on
        self.since = None  # the first update of a feed under its manifest version
        self.last, self.payload = None, None  # newest update, its payload
        self.momentum = None  # (id, state after it, whether somebody checked that, whether it is the one that the record says)
        self.claims = privacy.Claims()
        self.place, self.seed = None, None  # of the last linked record; what the next draw is made from, none behind a gap

    def record(self, one):
        if one.incarnation and one.seq == 0:
            self.incarnation(one)
        payload = self.bodies(one)
        if not one.linked:
            return
        if not self.place or self.place[0] != one.incarnation:
            self.recent = []  # what the author's updates of this incarnation merged, the newest last
        if one.seq == 0:
            self.seed = 0, []
        elif self.place != (one.incarnation, one.seq - 1):
            self.seed = None
        self.place = one.incarnation, one.seq
        manifest, known = self.audit.chain.versions[one.version], self.audit.lawful
        parents = [known.get(parent) for parent in one.parents]
        if None in parents:
            self.notes.run("DAG-001", one.where)
        for p in parents:
            if p and p.member != one.member:
                self.used[p.member] = max(self.used.get(p.member, (0, 0)), (p.incarnation, p.seq))
        claim = self.claims.before(one, known.get(one.prev))
        self.claims.follow(one, claim)
        ruled = True
        try:
            named(one, manifest, known)
            admit(one, known.get(one.prev), parents, manifest.policy, self.audit, self.first(one))
            if one.claim and claim:
                privacy.follows(one.claim, claim, manifest.policy)
        except Refused as refused:
            ruled = False
            self.notes.add(refused.code, one.where)
        if one.kind == UPDATE:
            if None not in parents:
                self.rules(one, parents, manifest)
            drawn = self.drawn(one, manifest)
            for found in filter(None, map(self.audit.by_id.get, one.checked)):
                if found.kind == UPDATE and found.member == one.member:
                    self.notes.add("FLT-005", one.where)
            if self.audit.recompute:
                self.merge(one, parents, manifest, payload, drawn, ruled)
            if self.contradicted(one, parents, manifest):
                self.notes.add("DRW-004", one.where)
            self.seed = one.round, others(one, manifest)
            self.recent = [*self.recent, one.parents]
            self.since = self.since if self.first(one) else one
            self.last, self.payload = one, payload

    def first(self, one):
        """The first update of its feed under its manifest version, if one came before it."""
        same = self.since and (self.since.incarnation, self.since.version) == (one.incarnation, one.version)
        return self.since if same else None

    def incarnation(self, one):
        self.notes.add("INC-001", one.where)
        prev = self.audit.by_id.get(one.prev)
        if prev is None:
            self.notes.add("INC-003", one.where)
        elif prev.member != one.member or prev.incarnation >= one.incarnation:
            self.notes.add("INC-002", one.where)

    def bodies(self, one):
        if one.body and one.kind in (EVIDENCE_KIND, FAULT):
            self.bundle(one)
        if one.state:
            self.lack(one, self.audit.state(one)[1])
        if one.kind != UPDATE:
            return None
        payload, lack = self.audit.payload(one)
        if lack != "missing":
            self.audit.found[one.id, PAYLOAD] = lack is not None
        self.lack(one, lack)
        return payload

    def bundle(self, one):
        lack = self.audit.blob(4, one.body)[1]
        if lack == "missing":
            return self.notes.add("EVD-004", one.where) if one.linked else self.lack(one, lack)
        if lack:
            return self.notes.add(lack, one.where)
        accused = self.audit.proved.get(one.body[0])
        said = (one.spec[0], one.spec[1], one.spec[2]), one.spec[3] if one.kind == FAULT else None
        if accused != said:
            self.notes.add("EVD-003" if accused else "EVD-001", one.where)

    def lack(self, one, lack):
        if lack == "missing" and not one.linked:
            self.notes.run("BLB-005", one.where)
        elif lack == "missing":
            keep = self.audit.chain.newest.policy.keep
            pruned = keep and one.round is not None and one.round + keep < self.audit.newest
            self.notes.run("BLB-002", one.where) if pruned else self.lacking.append(("BLB-001", "BLB-006", one, False))
        elif lack:
            self.notes.add(lack, one.where)

    def rules(self, one, parents, manifest):
        """The rules of an update that need the author's other records."""
        policy, last = manifest.policy, self.last
        own = next((p for p in parents if p.member == one.member), None)
        if own and last and own.id != last.id and last.incarnation == one.incarnation:
            self.notes.add("UPD-004", one.where)
        if not own and last and last.round + len(policy.ages) >= one.round:
            self.notes.add("UPD-009", one.where)
        if last and policy.rounds and last.round >= policy.rounds:
            self.notes.add("UPD-006", one.where)
        if not policy.least_steps <= one.spec[5] <= policy.most_steps:
            self.notes.add("UPD-007", one.where)

    def drawn(self, one, manifest):
        """Whether an update merged and skipped those whom the draw names; where the draw is not known, whether not too many."""
        order = None
        if self.seed:
            candidates = [m[0] for m in manifest.members if m[4] == 0 and m[0] not in manifest.cut_of and m[0] != one.member]
            order = adapter.draw(self.audit.network, one.member, one.incarnation, self.seed, candidates)
        code = drawn(one, manifest, order)
        if code:
            self.notes.add(code, one.where)
        return not code

    def contradicted(self, one, parents, manifest):
        """Whether a member is called absent whose update the author builds on."""
        absent = {manifest.members[skip[0]][0] for skip in one.spec[4] if skip[1] == ABSENT}
        here, ages = [p for p in parents if p], manifest.policy.ages
        own = next((p.round for p in here if p.member == one.member), None)
        base = max((p.round for p in here if p.round is not None), default=None) if own is None and None not in parents else own
        if base is None:
            return False
        ids = {*one.parents, *(id_ for p in here for id_ in p.parents), *(id_ for ids in self.recent[-len(ages):] for id_ in ids)}
        found = [self.audit.by_id[id_] for id_ in ids if id_ in self.audit.by_id]
        return any(f.member in absent and f.linked and f.kind == UPDATE and adapter.weigh(ages, base, f) is not None for f in found)

    def merge(self, one, parents, manifest, payload, drawn, ruled):
        own = (self.last.id, self.payload) if self.last and self.payload else None
        case = remerge.Case(self.audit, one, parents, manifest, own, payload)
        codes, merged, after = (["MRG-003"] if drawn else []), False, None
        if drawn and None not in parents:
            codes, merged, after = case.run(self.momentum)
        wrong = any(code not in INCOMPLETE for code in codes)
        if wrong and case.starts_as_said(self.momentum):
            self.audit.wrong.append(one)
        bounded = False
        if not merged:
            more, after = case.take_up()
            codes += more
            if drawn and ruled and None not in parents:
                more, bounded = case.partial(self.momentum, after)
                codes, after = codes + more, None if more else after
        for code in codes:
            if code in ("MRG-003", "MRG-012"):  # a record that is not there may be anybody's
                self.lacking.append((code, code if None in parents else "MRG-010", one, bounded))
            else:
                (self.notes.run if code in INCOMPLETE else self.notes.add)(code, one.where)
        wrong = any(code not in INCOMPLETE for code in codes)
        unverified = merged and after and not after[1]
        whole = merged and not unverified and payload is not None and "MRG-008" not in codes
        if wrong or whole and case.starts_as_said(self.momentum):
            self.audit.found[one.id, MERGE] = wrong
        count = "failed" if wrong or not drawn else "missing" if not merged else "unverified" if unverified else "ok"
        self.audit.merges[count] += 1
        self.audit.merges["attested"] += count in ("missing", "unverified") and bool(self.audit.attesters(one))
        self.momentum = (one.id, *after, ruled and not wrong) if after else None


def named(one, manifest, known):
    """Each record that is named as some member's is that member's, and with a skipped member an update, as far as it is here."""
    skipped = [(skip[0], skip[2], True) for skip in one.spec[4] if 2 in skip] if one.kind == UPDATE else []
    for place, id_, update in [(place, id_, False) for place, id_ in one.references] + skipped:
        found = known.get(id_)
        adapter.need(not found or found.member == manifest.members[place][0], "RULE-015")
        adapter.need(not found or not update or found.kind == UPDATE, "RULE-015")


def lawful(audit):
    """The records by id, without those that are loose or void and break a rule."""
    known = dict(audit.by_id)
    for one in sorted((r for r in audit.all if not r.linked), key=lambda r: (r.clock, r.id)):
        prev = audit.by_id.get(one.prev)
        try:
            if prev and one.seq:
                place = prev.member, prev.incarnation, prev.seq + 1
                adapter.need(place == (one.member, one.incarnation, one.seq) and prev.id in known, "LNK-003")
                adapter.need(prev.kind != CLOSE and prev.version <= one.version, "LNK-003")
            elif prev:
                adapter.need(prev.member == one.member and prev.incarnation < one.incarnation, "INC-002")
            manifest = audit.chain.versions[one.version]
            named(one, manifest, known)
            admit(one, known.get(one.prev), [known.get(parent) for parent in one.parents], manifest.policy, audit, None)
        except Refused:
            del known[one.id]
    return known


def admit(one, prev, parents, policy, audit, first):
    """The rules that need the records that one builds on; what cannot be said without a missing one is left out."""
    known = [p for p in parents if p]
    whole = len(known) == len(parents)
    clock = 1 + max((p.clock for p in known + ([prev] if prev else [])), default=0)
    missing = not whole or (one.prev is not None and prev is None)
    adapter.need(one.clock == clock or (missing and one.clock > clock), "RULE-004")
    below = ([prev] if prev and one.seq == 0 else []) + known
    adapter.need(all(one.version >= p.version for p in below), "RULE-017")
    if one.kind == RELEASE and known:
        adapter.need(known[0].round == one.spec[0], "RULE-011")
        adapter.need(known[0].member == one.member, "RULE-016")
    if one.kind == UPDATE:
        admit_update(one, parents, known, whole, policy, audit)
        last = (first or one).round + max(1, len(policy.ages) - 1)
        adapter.need(all(p.version == one.version or p.round <= last for p in known), "RULE-018")


def admit_update(one, parents, known, whole, policy, audit):
    for p in known:
        adapter.need(p.member != one.member or (p.incarnation, p.seq) < (one.incarnation, one.seq), "RULE-003")
        adapter.need(p.round is not None, "RULE-001")
    own = next((p for p in known if p.member == one.member), None)

    def published(unknown):
        """The round that follows if all unknown parents are of this one."""
        rounds = [p.round for p in known] + [unknown] * (len(parents) - len(known))
        return policy.round_after(max(own.round if own else 0, adapter.common_round(policy.ages, rounds)))

    adapter.need(published(0) <= one.round, "RULE-005")
    adapter.need(not own and not whole or one.round <= published((1 << 53) - 1), "RULE-005")
    base = adapter.base_round(policy.ages, own, known) if own or known and whole else None
    for p, weight in zip(parents, one.spec[2]):
        if p and base is not None:
            right = adapter.weigh(policy.ages, base, p)
            adapter.need(right is not None, "RULE-007")
            adapter.need(right == weight, "RULE-008")
    adapter.need(one.spec[1] == policy.phase(one.round), "RULE-006")
    adapter.need(one.codec == policy.codec, "RULE-009")
    adapter.need(one.body[1] == audit.layout.payload_length(policy.codec), "RULE-010")
    if one.state:
        due = policy.momentum and policy.checkpoint and one.round % policy.checkpoint == 0
        adapter.need(due and adapter.can_be_checkpoint(audit.layout.size, one.state[1]), "RULE-014")
        adapter.need(not whole or remerge.covering(audit.network, one, parents) == one.spec[3], "RULE-019")


def others(one, manifest):
    """The ids of an update's parents by others, in their order."""
    return [id_ for place, id_ in one.references if manifest.members[place][0] != one.member]


def drawn(one, manifest, order):
    """A code if an update merged and skipped others than those whom the draw names."""
    used = {manifest.members[place][0] for place, _ in one.references} - {one.member}
    skips = [(manifest.members[skip[0]][0], skip[1]) for skip in one.spec[4]]
    return account(order, used, skips, manifest.policy.draw, 64 - (len(used) < len(one.references)))


def account(order, used, skips, draw, room):
    """Whether those used and skipped are those whom the draw names, in its order; else a code. Without an order only their number."""
    if len(used) + sum(reason == DISTANCE for _, reason in skips) > draw:
        return "DRW-002"
    if order is None:
        return None
    merged = fetched = walked = listed = 0
    for member in order[:room]:
        if fetched == draw:
            break
        if member in used:
            merged, fetched = merged + 1, fetched + 1
        elif listed < len(skips) and skips[listed][0] == member:
            fetched, listed = fetched + (skips[listed][1] == DISTANCE), listed + 1
        else:
            break
        walked += 1
    if listed < len(skips) or merged < len(used):
        return "DRW-001"
    return "DRW-003" if fetched < draw and walked < min(len(order), room) else None
