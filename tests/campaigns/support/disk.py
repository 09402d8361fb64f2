# SPDX-License-Identifier: MIT
"""What a disk may hold after a power cut: the record of support/record.c played up to some point, with what was not synced lost, kept or torn.

A file's write is on the disk when a sync of that file began after it and ended; a folder's entry likewise. Of the rest anything may be there:
none of it, all, some, some sectors of one write. Renames are whole or not at all. A file of shared memory (-shm) is lost: SQLite makes it anew.
"""

import os
import pathlib
import struct

import support.campaign as campaign

LIBRARY = "libpvrelay-record.so"
HEAD = struct.Struct("<IIIIQQ")
OPEN, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, RMDIR, LINK, MARK = range(1, 12)
OPENED_NEW, OPENED_TRUNCATED, OPENED_FOLDER = 1, 2, 4
SECTOR = 512
# What becomes of what was not synced: lost, kept, some of it, all up to some write.
FATES = ("lost", "kept", "some", "prefix")


def library(name=LIBRARY):
    """The preloaded library, beside the programs' folder."""
    path = campaign.pipeline.BIN.parent / "campaigns" / name
    if not path.exists():
        raise campaign.Skip(f"{path} is not built")
    if b"__asan_init" in (campaign.pipeline.BIN / "pvrelay").read_bytes():
        raise campaign.Skip("the sanitizers want to be preloaded first")
    return path


class Recorder:
    """A folder, all that is written below it, and marks in between. Begin it when all that is there counts as on the disk."""

    def __init__(self, root, log):
        self.root, self.log = root, log
        self.log.touch()
        self.base = Disk(root)
        self.environment = {"LD_PRELOAD": str(library()), "PVRELAY_RECORD": str(log), "PVRELAY_RECORD_ROOT": str(root)}

    def mark(self, text):
        """Something that was promised to whoever looks on."""
        data = text.encode()
        with open(self.log, "ab", buffering=0) as log:
            log.write(HEAD.pack(MARK, len(data), 0, 0, 0, 0) + data)

    def records(self):
        data, at, found = self.log.read_bytes(), 0, []
        while at < len(data):
            kind, length, second, process, thing, where = HEAD.unpack_from(data, at)
            at += HEAD.size
            found.append((kind, process, thing, where, data[at:at + length], data[at + length:at + length + second]))
            at += length + second
        return found


class Node:
    """A file: what is on the disk, and what came since. A pending change: (number, offset, data), or (number, size, None) to truncate."""

    def __init__(self, content=b""):
        self.durable, self.pending = bytearray(content), []

    def sync(self, before):
        while self.pending and self.pending[0][0] < before:
            apply(self.durable, *self.pending.pop(0)[1:])

    def image(self, chance, fate):
        content = bytearray(self.durable)
        fate = chance.choice(FATES) if fate is None else fate
        keep = {"lost": 0, "kept": len(self.pending), "some": len(self.pending), "prefix": chance.randint(0, len(self.pending))}[fate]
        for place, (_, offset, data) in enumerate(self.pending[:keep]):
            last = fate == "prefix" and place == keep - 1
            if fate == "some" and chance.random() < 0.4:
                continue
            if data is not None and (last or fate == "some" and chance.random() < 0.4):
                torn(content, offset, data, chance)
            else:
                apply(content, offset, data)
        return content


def apply(content, offset, data):
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset:offset + len(data)] = data


def torn(content, offset, data, chance):
    """Some of the sectors of a write; the file may already be as long as it makes it."""
    end = offset + len(data)
    if chance.random() < 0.5:
        content.extend(bytes(max(0, end - len(content))))
    at = offset
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        if chance.random() < 0.5:
            apply(content, at, data[at - offset:stop - offset])
        at = stop


class Disk:
    """The state of all below a folder, record by record."""

    def __init__(self, root):
        self.root = str(root)
        self.nodes, self.names, self.folders, self.changes = {}, {}, {self.root: object()}, []
        self.begun, self.number, self.marks = {}, 0, []
        self.opened_folders = {}
        for path in sorted(pathlib.Path(root).rglob("*")):
            if path.is_dir():
                self.folders[str(path)] = object()
            elif not path.name.endswith("-shm"):
                self.names[str(path)] = self.nodes[os.stat(path).st_ino] = Node(path.read_bytes())
        self.durable_names, self.durable_folders = dict(self.names), dict(self.folders)

    def _change(self, kind, *paths, node=None):
        """An entry of a folder changes: at once in what the processes see, on the disk when its folders are synced."""
        waits = {self.folders[os.path.dirname(path)] for path in paths[-2:] if os.path.dirname(path) in self.folders}
        self.changes.append([self.number, kind, paths, node, waits])
        _enter(self.names, self.folders, kind, paths, node)

    def play(self, record):
        kind, process, thing, where, data, second = record
        self.number += 1
        if kind == OPEN:
            path = os.path.normpath(data.decode())
            if where & OPENED_FOLDER:
                self.opened_folders[thing] = self.folders.get(path)
                return
            self.opened_folders.pop(thing, None)
            if path.endswith("-shm"):
                self.nodes.pop(thing, None)
                return
            if where & OPENED_NEW or thing not in self.nodes or self.names.get(path) is not self.nodes[thing]:
                if path in self.names and not where & OPENED_NEW:
                    self.nodes[thing] = self.names[path]
                else:
                    self.nodes[thing] = Node()
                    self._change("enter", path, node=self.nodes[thing])
            if where & OPENED_TRUNCATED:
                self.nodes[thing].pending.append((self.number, 0, None))
        elif kind == WRITE and thing in self.nodes:
            self.nodes[thing].pending.append((self.number, where, data))
        elif kind == TRUNCATE and thing in self.nodes:
            self.nodes[thing].pending.append((self.number, where, None))
        elif kind == SYNC_BEGIN:
            self.begun[process, where] = self.number
        elif kind == SYNC_END:
            before = self.begun.pop((process, where))
            if thing in self.opened_folders:
                for change in self.changes:
                    if change[0] < before:
                        change[4].discard(self.opened_folders[thing])
            elif thing in self.nodes:
                self.nodes[thing].sync(before)
        elif kind == RENAME:
            self._change("rename", os.path.normpath(data.decode()), os.path.normpath(second.decode()))
        elif kind == LINK:
            path = os.path.normpath(second.decode())
            self._change("enter", path, node=self.names[os.path.normpath(data.decode())])
        elif kind in (UNLINK, RMDIR):
            self._change("remove", os.path.normpath(data.decode()))
        elif kind == MKDIR:
            self._change("folder", os.path.normpath(data.decode()), node=object())
        elif kind == MARK:
            self.marks.append(data.decode())

    def unsynced(self):
        return any(node.pending for node in self.nodes.values()) or any(change[4] for change in self.changes)

    def write(self, folder, chance, fate=None):
        """Lay what is there after a power cut into a folder. fate: of all that was not synced, one of FATES; by default each file has its own."""
        names, folders = dict(self.durable_names), dict(self.durable_folders)
        waiting = [change for change in self.changes if change[4]]
        kept = {"lost": 0, "kept": len(waiting)}.get(fate, chance.choice((0, len(waiting), chance.randint(0, len(waiting)))))
        last = waiting[kept][0] if kept < len(waiting) else self.number + 1
        for number, kind, paths, node, waits in self.changes:
            if not waits or number < last:
                _enter(names, folders, kind, paths, node)
        images = {}
        for path in sorted(folders):
            os.makedirs(str(folder) + path[len(self.root):], exist_ok=True)
        for path, node in names.items():
            if node not in images:
                images[node] = node.image(chance, fate)
            place = pathlib.Path(str(folder) + path[len(self.root):])
            if place.parent.is_dir():
                place.write_bytes(images[node])


def _enter(names, folders, kind, paths, node):
    """Apply a change to entries; one whose source was lost changes nothing."""
    path = paths[0]
    if kind == "enter":
        names[path] = node
    elif kind == "folder":
        folders.setdefault(path, node)
    elif kind == "remove":
        names.pop(path, None)
        folders.pop(path, None)
    else:
        for entries in (names, folders):
            for name in [name for name in entries if name == path or name.startswith(path + "/")]:
                entries[paths[1] + name[len(path):]] = entries.pop(name)
