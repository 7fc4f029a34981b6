"""Logs for forged archives: honest ones, and those whose owners or keepers are not."""
import base64

from blake3 import blake3

import tlog


def b64(data):
    return base64.b64encode(data).decode()


class Logs:
    """What some members accepted, in what order, and the heads that they signed."""

    def __init__(self, forge):
        self.forge, self.rng, self.accepted, self.notes = forge, forge.rng, [], []
        self.of, self.heads = {}, {}  # member: its leaves; member: {size: note}

    def accept(self, envelope):
        self.accepted.append(envelope)

    def seen(self):
        """What a record says that its author had seen."""
        if self.rng.random() < 0.6 or not self.notes:
            return None
        return blake3(self.rng.choice(self.notes)).digest() if self.rng.random() < 0.9 else self.rng.randbytes(32)

    def line(self, member, algorithm, key, data):
        return f"{tlog.DASH}{self.name(member)} {b64(tlog.key_id(self.name(member), algorithm, key.public) + data)}\n"

    def key(self, member):
        """The member's key; now and then one that it handed over, which a thief may have."""
        old = [key for owner, key, *_ in self.forge.stolen if owner is member]
        return self.rng.choice(old) if old and self.rng.random() < 0.25 else member.key

    def end(self, member):
        """What a handover says of the member's log: mostly how far it is, sometimes less, nothing, or what is wrong."""
        rng, leaves = self.rng, self.of.get(member.id, [])
        size = len(leaves) if rng.random() < 0.6 else rng.randint(0, len(leaves))
        if rng.random() < 0.15 or not size and rng.random() >= 0.05 * self.forge.wild:
            return {}
        return {3: {0: size, 1: tlog.Tree(leaves).root(size) if rng.random() >= 0.1 * self.forge.wild else rng.randbytes(32)}}

    def name(self, member):
        return f"chorale/{self.forge.network.hex()[:16]}/{member.id.hex()[:16]}"

    def note(self, member, size, root, witnesses):
        text = f"{self.name(member)}\n{size}\n{b64(root)}\n"
        owner = self.key(member)
        lines = [self.line(member, tlog.SIGNED, owner, owner.private.sign(text.encode()))]
        for witness in witnesses:
            time = self.rng.randrange(600)
            said = f"cosignature/v1\ntime {time}\n{text}".encode()
            key = self.key(witness)
            data = time.to_bytes(8, "big") + key.private.sign(said)
            if self.rng.random() < 0.02 * self.forge.wild:
                data = self.rng.choice([data[:-1], bytes([data[0] ^ 128]) + data[1:], data[:20] + b"\0" + data[21:]])
            lines.append(self.line(witness, tlog.COSIGNED, key, data))
        if self.rng.random() < 0.03 * self.forge.wild:
            lines.append(self.rng.choice([lines[0], f"{tlog.DASH}other AAAAAAA=\n", f"{tlog.DASH}o o\n", lines.pop(0)]))
        return f"{text}\n{''.join(lines)}".encode()

    def event(self):
        """A member catches up with what was written, in its own order, and signs a head that some others cosign."""
        rng, members = self.rng, self.forge.members
        member = rng.choice(members[:2])
        leaves = self.of.setdefault(member.id, [])
        fresh = [leaf for leaf in map(tlog.leaf, self.accepted) if leaf not in leaves]
        rng.shuffle(fresh)
        leaves += fresh if rng.random() < 0.7 else fresh[:len(fresh) // 2]
        if rng.random() < 0.03 * self.forge.wild:
            leaves.append(rng.randbytes(32))
        root = tlog.Tree(leaves).root(len(leaves)) if rng.random() >= 0.04 * self.forge.wild else rng.randbytes(32)
        others = [other for other in members if other is not member or rng.random() < 0.05]
        note = self.note(member, len(leaves), root, rng.sample(others, rng.randint(0, len(others))))
        self.heads.setdefault(member.id, {})[len(leaves)] = note
        self.notes.append(note)

    def write(self, files):
        for member, heads in self.heads.items():
            folder, rng, wild = f"logs/{member.hex()}", self.rng, self.forge.wild
            newest = max(heads)
            mine = {f"{folder}/notes/{size:020}": note for size, note in heads.items() if rng.random() < 0.9}
            mine[f"{folder}/checkpoint"] = heads[newest if rng.random() >= 0.1 * wild else rng.choice(sorted(heads))]
            if rng.random() < 0.8:
                mine.update(self.tiles(folder, self.of[member][:newest]))
            if rng.random() < 0.2 * wild:
                self.spoil(folder, mine)
            files.update(mine)

    def tiles(self, folder, leaves):
        tree = tlog.Tree(leaves)
        return {f"{folder}/{tlog.tile_path(*one)}": b"".join(tree.subtree(8 * one[0], 256 * one[1] + i) for i in range(one[2]))
                for one in tlog.tiles(len(leaves))}

    def spoil(self, folder, mine):
        """Something lost, swapped, damaged or strange."""
        rng, name = self.rng, self.rng.choice(sorted(mine))
        data, what = mine[name], self.rng.randrange(7)
        if what == 0:
            del mine[name]
        elif what < 3 and data:
            at = rng.randrange(len(data))
            mine[name] = rng.choice([data[:at], data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:], data + b"\n"])
        elif what == 3:
            mine[f"{folder}/notes/{rng.randrange(9):020}"] = rng.choice([mine[one] for one in sorted(mine)])
        elif what == 4:
            mine[f"{folder}/{tlog.tile_path(rng.randrange(2), 0, rng.randint(1, 9))}"] = rng.randbytes(32 * rng.randint(1, 9))
        elif what == 5:
            mine[f"{folder}/{rng.choice(['odd', 'notes/5', 'tile/0/0', 'tile/0/000.p/0', 'checkpoint/x'])}"] = b"odd"
            if f"{folder}/checkpoint/x" in mine:
                mine.pop(f"{folder}/checkpoint", None)
        else:
            mine[name] = bytes(20_000)
