# SPDX-License-Identifier: MIT
"""A ZeroMQ peer without libzmq: it says what it likes on a stage's socket (ZMTP 3.0, mechanism NULL). And messages of every kind.

The messages come from docs/protocol.md, which is printed from the table that the programs are made from.
"""

import pathlib
import re
import socket
import struct

ROOT = pathlib.Path(__file__).resolve().parents[3]
MORE, LONG, COMMAND = 1, 2, 4
STAGES = {"reader": 1, "transformer": 2, "writer": 3, "validator": 4}
FORMATS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q"}


class Peer:
    """A connection. What is sent may be lost when the stage closes it; then `gone` is set."""

    def __init__(self, path, kind, shake=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(2)
        self.gone, self.read = False, b""
        self.socket.connect(str(path))
        if shake:
            self.raw(b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32)
            ready = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind.encode() + b"\x08Identity\0\0\0\0"
            self.raw(bytes((COMMAND, len(ready))) + ready)
            self.take(64)
            self.frame()

    def close(self):
        self.socket.close()

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.gone = True

    def send(self, frames):
        for at, frame in enumerate(frames):
            self.part(frame, at + 1 < len(frames))

    def part(self, frame, more):
        flags = MORE if more else 0
        head = bytes((flags, len(frame))) if len(frame) < 256 else bytes((flags | LONG,)) + struct.pack(">Q", len(frame))
        self.raw(head + frame)

    def take(self, size):
        while len(self.read) < size and not self.gone:
            try:
                got = self.socket.recv(1 << 16)
            except OSError:
                got = b""
            self.gone = not got
            self.read += got
        taken, self.read = self.read[:size], self.read[size:]
        return taken

    def frame(self):
        """(flags, bytes), or None: nothing came in time."""
        head = self.take(2)
        if len(head) < 2:
            return None
        size = head[1] if not head[0] & LONG else struct.unpack(">Q", bytes((head[1],)) + self.take(7))[0]
        return head[0], self.take(size)

    def message(self):
        """The frames of one message, or None."""
        frames = []
        while True:
            got = self.frame()
            if got is None:
                return None
            if not got[0] & COMMAND:
                frames.append(got[1])
                if not got[0] & MORE:
                    return frames


class Kind:
    """A kind of message: its number, who sends it, its fields."""

    def __init__(self, name, number, sender, frames, fields):
        self.name, self.number, self.sender, self.frames, self.fields = name, number, sender, frames, fields

    def encode(self, run, values, instance=1, stage=None):
        data = b"PV" + bytes((VERSION, self.number, STAGES[self.sender] if stage is None else stage)) + struct.pack("<I", instance) + run
        for field, form in self.fields:
            value = values.get(field, 0)
            if form == "text":
                text = value.encode() if isinstance(value, str) else b""
                data += struct.pack("<H", len(text)) + text
            elif form == "list":
                data += bytes(128)
            else:
                data += struct.pack(FORMATS[form], value)
        return data

    def decode(self, data):
        """The run and the fields of a message of this kind; texts and lists are left out. None: it is of another kind."""
        if data[:4] != b"PV" + bytes((VERSION, self.number)):
            return None
        values, at = {}, 25
        for field, form in self.fields:
            if form not in FORMATS:
                break
            values[field] = struct.unpack_from(FORMATS[form], data, at)[0]
            at += struct.calcsize(FORMATS[form])
        return data[9:25], values


def _kinds():
    page = (ROOT / "docs/protocol.md").read_text()
    kinds = {}
    for part in re.split(r"^## ", page, flags=re.M)[1:]:
        name, number = re.match(r"(\w+) \((\d+)\)", part).groups()
        sender, frames = re.search(r"^From (\w+).* to [\w ]+; (\d) payload", part, re.M).groups()
        kinds[name] = Kind(name, int(number), sender, int(frames), re.findall(r"^\| `(\w+)` \| (\w+) \|", part, re.M))
    return kinds, int(re.search(r"Protocol version (\d+)\.", page)[1])


KINDS, VERSION = _kinds()
