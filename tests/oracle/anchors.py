"""What is known by another way than the archive, and how far it shows the archive to reach: section 8.4 of docs/PROTOCOL.md."""


class Anchors:
    """Ids of records, hashes of manifest versions, and members that published nothing."""

    def __init__(self, records=(), manifests=(), silent=()):
        self.records, self.manifests, self.silent = frozenset(records), frozenset(manifests), frozenset(silent)

    def any(self):
        return bool(self.records or self.manifests or self.silent)


def check(audit):
    """The findings of an audit's anchors."""
    anchors, unwanted = audit.anchors, "warning" if audit.allow_unanchored else "incomplete"
    if not anchors.any():
        return audit.notes.add("ANC-001", None, unwanted)
    for anchor in sorted(anchors.records):
        if anchor not in audit.by_id:
            audit.notes.add("ANC-002", {"file": "", "record": anchor})
    held = {version.hash for version in audit.chain.versions}
    for anchor in sorted(anchors.manifests - held):
        audit.notes.add("ANC-003")
    if not all(reached for _, reached in feeds(audit)):
        audit.notes.add("ANC-004", None, unwanted)


def feeds(audit):
    """Every feed, and for each member without one the one that it lacks; whether its end is known."""
    ends = {member[0]: {} for version in audit.chain.versions for member in version.members if member[4] == 0}
    written = {one.member for one in audit.all}
    for one in audit.all:
        if not one.void:
            ends.setdefault(one.member, {}).setdefault(one.incarnation, []).append(one)
    for member, own in ends.items():
        if not own and member not in written:
            yield member, member in audit.anchors.silent or ended(audit, member, 0)
        named = set()
        for incarnation in sorted(own, reverse=True):
            records = own[incarnation]
            last = max(one.seq for one in records)
            known = {one.id for one in records if one.seq == last} & (audit.anchors.records | named)
            if known or ended(audit, member, incarnation):
                named |= {one.prev for one in records if one.seq == 0}
                yield (member, incarnation), True
            else:
                yield (member, incarnation), False


def ended(audit, member, incarnation):
    """Whether a cut or a handover says where this feed ends, and the record there is here."""
    places = [handover for _, handover in audit.chain.handovers.get(member, []) if handover[1] == incarnation]
    cut = audit.chain.newest.cut_of.get(member)
    if cut and incarnation > cut[1]:
        return True
    places += [cut] if cut and incarnation == cut[1] else []
    return any(2 not in place or place[2][1] in audit.by_id for place in places)
