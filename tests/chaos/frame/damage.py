"""Damage to the journal's files between two lives of the daemon, and what must be said of it."""

import os
import re

from frame import segments

SECTOR = 512


class Damage:
    """One fault of the medium. `lost`: offsets of the events that stood where it hit. `byte`: the
    first that it hit; None if all behind some byte is gone. `frame`: the one frame that it hit.
    `at_end`: nothing whole is behind it, which could prove what stood there. `oldest`: nothing is
    in front of it, which could tell that it is missing; the lanes' positions in the database do."""

    def __init__(self, what, path, lost, byte=None, frame=None, at_end=False, oldest=False):
        self.what, self.path, self.lost, self.byte, self.frame = what, path, set(lost), byte, frame
        self.at_end, self.oldest = at_end, oldest

    def is_named_in(self, found):
        """Whether one of the reports names the place."""
        return any(report.segment == self.path.name and
                   (self.byte is None or report.bytes[0] <= self.byte < report.bytes[1])
                   for report in found)

    def __repr__(self):
        return f"{self.what} ({len(self.lost)} events)"


class Folder:
    """The journal's folder while no daemon runs, and what stands in it."""

    def __init__(self, path):
        self.paths = segments.paths(path)  # Those that may still be damaged.
        self.frames = {path: segments.frames(path) for path in self.paths}
        self.oldest, self.newest = (self.paths[0], self.paths[-1]) if self.paths else (None, None)

    def ends_unproven(self):
        """Whether the last frame of all is a group that nothing proves."""
        if not self.newest:
            return False
        last = self.frames[self.newest][-1]
        return last.kind == "GROUP" and last.position >= segments.born_bytes(last.segment)

    def groups(self):
        return [frame for path in self.paths for frame in self.frames[path]
                if frame.kind == "GROUP"]

    def _is_unproven(self, frame):
        return frame is self.frames[self.newest][-1] and self.ends_unproven()

    def flip_bit(self, random):
        frame = self._choose(random)
        byte = random.randrange(frame.position, frame.payload_end)
        with open(frame.segment, "r+b") as file:
            file.seek(byte)
            old = file.read(1)[0]
            file.seek(byte)
            file.write(bytes([old ^ 1 << random.randrange(8)]))
        return Damage(f"bit flipped at {byte} in {frame}", frame.segment, frame.offsets, byte,
                      frame, at_end=self._is_unproven(frame))

    def zero_sector(self, random):
        frame = self._choose(random)
        first = random.randrange(frame.position, frame.payload_end) // SECTOR * SECTOR
        with open(frame.segment, "r+b") as file:
            file.seek(first)
            file.write(bytes(SECTOR))
        return Damage(f"sector zeroed at {first} in {frame}", frame.segment, frame.offsets, first,
                      frame, at_end=self._is_unproven(frame))

    def truncate(self, random):
        path = random.choice(self.paths)
        length = random.randrange(segments.FRAMES_BEGIN, self.frames[path][-1].end)
        os.truncate(path, length)
        # A frame that lacks only padding is whole, but for the last file: there it counts as torn.
        lost = [offset for frame in self.frames[path]
                if (frame.end if path == self.newest else frame.payload_end) > length
                for offset in frame.offsets]
        return Damage(f"{path.name} cut to {length} bytes", path, lost,
                      at_end=path == self.newest)

    def delete(self, random):
        path = random.choice(self.paths)
        path.unlink()
        lost = [offset for frame in self.frames[path] for offset in frame.offsets]
        return Damage(f"{path.name} deleted", path, lost, at_end=path == self.newest,
                      oldest=path == self.oldest)

    def header(self, random):
        """One of the two copies of a segment's header: nothing is lost with it."""
        path = random.choice(self.paths)
        byte = random.choice((0, segments.BLOCK)) + random.randrange(116)
        with open(path, "r+b") as file:
            file.seek(byte)
            old = file.read(4)
            file.seek(byte)
            file.write(bytes(value ^ 0xA5 for value in old))
        return Damage(f"header of {path.name} damaged at {byte}", path, [], byte)

    def _choose(self, random):
        """A group; often the last one, where it is hardest."""
        groups = self.groups()
        return groups[-1] if random.random() < 0.2 else random.choice(groups)

    KINDS = (flip_bit, zero_sector, truncate, delete, header)
    # Two of these do not change what the other one leaves to be told.
    SMALL = (flip_bit, zero_sector, header)


class Report:
    """A damaged range that the daemon's log names."""

    def __init__(self, line):
        def number(name):
            return int(re.search(rf"{name}=(\d+)", line)[1])
        self.segment = re.search(r"segment=(\S+)", line)[1]
        self.bytes = (number("first_byte"), number("end_byte"))
        self.lost = set(range(number("first_offset_lost"), number("end_offset_lost")))

    def __repr__(self):
        return f"{self.segment} {self.bytes} {len(self.lost)} lost"


def reports(log):
    """What a log reports, each place once."""
    found = {}
    for line in log.splitlines():
        if "the journal is damaged" in line:
            report = Report(line)
            found.setdefault((report.segment, report.bytes), report)
    return list(found.values())
