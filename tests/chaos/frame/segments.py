"""Reads the journal's files, from server/journal/FORMAT.md alone."""

import struct

BLOCK = 4096
FRAMES_BEGIN = 2 * BLOCK
KINDS = {1: "STATE", 2: "GROUP", 3: "MARKER"}


class Frame:
    """A frame's place and what its header says."""

    def __init__(self, segment, header):
        (_, _, kind, _, payload, self.events, _, self.number, self.position, self.first_offset,
         self.durable) = struct.unpack_from("<4sBBHIIQQQQQ", header)
        self.segment, self.kind = segment, KINDS.get(kind, kind)
        self.end = self.position + (88 + payload + BLOCK - 1) // BLOCK * BLOCK
        self.payload_begin, self.payload_end = self.position + 88, self.position + 88 + payload

    @property
    def offsets(self):
        return range(self.first_offset, self.first_offset + self.events)

    def __repr__(self):
        return (f"{self.segment.name} {self.position:#x} {self.kind} {self.events} events "
                f"from {self.first_offset}")


def paths(folder):
    return sorted(folder.glob("*.jnl"))


def unproven_byte(path):
    """From where on a segment has copies of the one before it, as its header says; 0: none."""
    with open(path, "rb") as file:
        return struct.unpack_from("<Q", file.read(120), 104)[0]


def born_bytes(path):
    """So much of a segment was synced before it got its name."""
    with open(path, "rb") as file:
        return struct.unpack_from("<Q", file.read(120), 88)[0]


def frames(path):
    """The frames of a segment, in order, from its beginning to the first place without one."""
    found = []
    with open(path, "rb") as file:
        position = FRAMES_BEGIN
        while True:
            file.seek(position)
            header = file.read(88)
            if len(header) < 88 or header[:4] != b"HFRM":
                return found
            found.append(Frame(path, header))
            position = found[-1].end
