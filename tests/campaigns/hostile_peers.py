# SPDX-License-Identifier: MIT
"""Peers of the same user that lie: every kind of message, plausible, forged, repeated and oversized; floods, endless messages, held connections.

What must hold: the run ends as an undisturbed one would or says clearly why not, and then goes on to the same end without them; no stage grows
beyond a bound, no log either, and nobody is taken for proved who was not.
"""

import json
import pathlib
import threading
import time

import support.campaign as campaign
import support.state as state
import support.zmtp as zmtp

pipeline = campaign.pipeline

MODULES = 6000
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=5", "orphan-module=4", "duplicate-module=6")]
QUICK = {"resend_ms": 200, "linger_ms": 200, "heartbeat_ms": 20, "batch_bytes": 16384, "window_bytes": 262144}
RSS_LIMIT_KIB = 900 << 10  # of one stage
LOG_LIMIT_BYTES = 256 << 10
ENDLESS_BYTES = 1500 << 20
ATTACK_SECONDS = 2
SOCKETS = {"writer.sock": "PUSH", "records.sock": "PULL", "commits.sock": "PULL", "progress.sock": "SUB", "writer.counters": "SUB",
           "reader.counters": "SUB", "validator.counters": "SUB", "transformer-1.counters": "SUB"}
TO_WRITER = ("HELLO", "PLAN", "ROWS", "END", "VERDICT", "WORKING", "BYE", "FAIL", "BATCH", "COMMIT", "FINISH", "PROGRESS", "COUNTERS")
# After these the run may end before its end: a peer that says it cannot go on, or has other exports, is believed.
ENDING = {"FAIL", "PLAN"}


def prepare(folder):
    exports = pipeline.generate(folder / "exports", "--modules", MODULES, "--modules-per-audit", 200, *TRAPS)
    pipeline.run(exports, folder / "reference.db", "--run-dir", folder / "r", expect=3)
    return exports, state.of(folder / "reference.db", 1)


def rss_kib(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Watch(threading.Thread):
    """The greatest size of each stage, and of the daemon that is the greatest."""

    def __init__(self, run_dir):
        super().__init__(daemon=True)
        self.run_dir, self.peak, self.end = run_dir, {}, threading.Event()

    def run(self):
        while not self.end.wait(0.01):
            for stage in ("reader", "transformer-1", "writer", "validator"):
                pid = pipeline.pid_of(self.run_dir, stage)
                if pid:
                    self.peak[stage] = max(self.peak.get(stage, 0), rss_kib(pid))


class Liar:
    """What a peer can say, and how it says it."""

    def __init__(self, case, run_dir):
        self.case, self.chance, self.run_dir = case, case.chance, run_dir
        self.run, self.progress, self.commits, self.batches, self.peers, self.said = bytes(16), {}, [], [], [], set()
        self.attacks = (self.forge, self.forge, self.forge, self.garbage, self.flood, self.endless, self.oversized, self.subscribe, self.hold,
                        self.half_open, self.prove_everything, self.steal)

    def peer(self, name, kind=None, shake=True):
        peer = zmtp.Peer(self.run_dir / name, kind or SOCKETS[name], shake)
        self.peers.append(peer)
        return peer

    def listen(self):
        """Learn the run, and where it stands."""
        peer = self.peer("progress.sock")
        peer.part(b"\x01", False)
        frames = peer.message()
        heard = zmtp.KINDS["PROGRESS"].decode(frames[0]) if frames else None
        if heard:
            self.run, self.progress = heard
        peer.close()

    def value(self, field, form):
        """Plausible, or at an edge, or anything."""
        chance, progress = self.chance, self.progress
        known = {"checkpoint": [0, progress.get("checkpoint", 1), progress.get("checkpoint", 1) + 1], "source": [progress.get("source", 0)],
                 "first": [progress.get("ordinal", 0), progress.get("ordinal", 0) + 10], "begin": [progress.get("offset", 0)],
                 "end": [progress.get("offset", 0) + 1000], "plan_digest": [progress.get("plan_digest", 0)], "part": [0, 1, 2, 3],
                 "incarnation": [1, 2, 3], "count": [1, 20], "code": list(range(25))}.get(field, [0, 1])
        if form == "text":
            return chance.choice(("", "a lie", "\x1b[31m\nnot a new line\u202e", "x" * 500))
        bits = {"u8": 8, "u16": 16, "u32": 32}.get(form, 63)
        edge = [0, 1, (1 << bits) - 1, 1 << (bits - 1)]
        chosen = chance.choices((known, edge, [chance.getrandbits(bits)]), (6, 2, 2))[0]
        return chance.choice(chosen) & ((1 << bits) - 1)

    def one(self, name=None, size=None):
        """A message as frames."""
        kind = zmtp.KINDS[name or self.chance.choice(TO_WRITER)]
        self.said.add(kind.name)
        known = {}
        if kind.name in ("VERDICT", "WORKING") and self.commits and self.chance.random() < 0.7:
            known = self.chance.choice(self.commits)
        elif kind.name == "ROWS" and self.batches and self.chance.random() < 0.7:
            known = self.chance.choice(self.batches)
        values = {field: known.get(field, self.value(field, form)) for field, form in kind.fields}
        stage = self.chance.choice((None, None, None, 0, 1, 2, 3, 4, 255))
        frames = [kind.encode(self.run if self.chance.random() < 0.9 else self.chance.randbytes(16), values, self.chance.choice((1, 1, 1, 2, 99)), stage)]
        for _ in range(kind.frames):
            frames.append(self.payload(kind.name, size))
        return frames

    def payload(self, name, size):
        chance = self.chance
        if size is not None:
            return bytes(size)
        return chance.choice((b"", b"\x94\x00\x90\x90\x90", b"\x94\x00\x90\x90\xdd\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"{\"sources\": []}",
                              b"[" * 5000, chance.randbytes(200), bytes(4000)))

    def count(self, messages):
        self.case.count(inputs=messages)

    def many(self, most, peer):
        """Numbers from 0 on, for as long as the peer is listened to, and not longer than a second or two."""
        end = time.monotonic() + ATTACK_SECONDS
        for number in range(most):
            if peer.gone or time.monotonic() > end:
                return
            self.count(1)
            yield number

    # ---- attacks ----

    def forge(self):
        peer, number = self.peer("writer.sock"), self.chance.randint(1, 60)
        for _ in range(number):
            frames = self.one()
            for _ in range(self.chance.choice((1, 1, 1, 5))):
                peer.send(frames)
                self.count(1)

    def garbage(self):
        """What is no message, or one with bytes turned over; wrong numbers of frames; to sockets that expect nothing as well."""
        for name in SOCKETS:
            with self.lost():
                peer = self.peer(name)
                for _ in range(self.chance.randint(1, 20)):
                    frames = [bytearray(frame) for frame in self.one()] + [bytearray(b"more")] * self.chance.choice((0, 0, 1, 5))
                    for _ in range(self.chance.randint(1, 5)):
                        frame = self.chance.choice(frames)
                        if frame:
                            frame[self.chance.randrange(len(frame))] = self.chance.getrandbits(8)
                    peer.send([bytes(frame) for frame in frames])
                    self.count(1)

    def flood(self):
        peer, frames = self.peer("writer.sock"), self.one()
        for _ in self.many(20000, peer):
            peer.send(frames)

    def endless(self):
        """A message that has no end."""
        name, size = self.chance.choice((("writer.sock", 1 << 20), ("writer.sock", 1 << 20), ("progress.sock", 60000), ("records.sock", 1 << 20),
                                         ("validator.counters", 60000)))
        peer, part = self.peer(name), bytes(size)
        for _ in self.many(ENDLESS_BYTES // size, peer):
            peer.part(part, True)

    def oversized(self):
        peer = self.peer("writer.sock")
        for _ in range(self.chance.randint(1, 6)):
            peer.send(self.one(self.chance.choice(("ROWS", "PLAN", "VERDICT")), self.chance.choice((1 << 20, 40 << 20, 95 << 20, 97 << 20))))
            self.count(1)

    def subscribe(self):
        """To everything that can be thought of."""
        peer = self.peer(self.chance.choice(("progress.sock", "writer.counters", "validator.counters")))
        for number in self.many(100000, peer):
            peer.part(b"\x01" + number.to_bytes(4, "big") * 12, False)

    def hold(self):
        """Connections that say nothing more."""
        for name in SOCKETS:
            for _ in range(20):
                with self.lost():
                    self.peer(name)
        self.count(20 * len(SOCKETS))

    def half_open(self):
        for name in SOCKETS:
            with self.lost():
                self.peer(name, shake=False).raw(self.chance.randbytes(self.chance.randint(0, 100)))
        self.count(len(SOCKETS))

    def steal(self):
        """Take commits and batches that were meant for others, and look into them."""
        for name, kind, kept in (("commits.sock", "COMMIT", self.commits), ("records.sock", "BATCH", self.batches)):
            peer = self.peer(name)
            peer.socket.settimeout(0.1)
            for _ in range(3):
                frames = peer.message()
                heard = zmtp.KINDS[kind].decode(frames[0]) if frames else None
                if heard:
                    kept.append(heard[1])
            peer.close()

    def prove_everything(self):
        """Says "proved" to whatever it is asked, and reads nothing."""
        asked, answers = self.peer("commits.sock"), self.peer("writer.sock")
        asked.socket.settimeout(0.1)
        for _ in range(20):
            frames = asked.message()
            if frames is None:
                break
            heard = zmtp.KINDS["COMMIT"].decode(frames[0]) or zmtp.KINDS["FINISH"].decode(frames[0])
            if heard:
                values = heard[1] if "count" in heard[1] else {**heard[1], "checkpoint": 0}
                answers.send([zmtp.KINDS["VERDICT"].encode(self.run, {**values, "rows": values.get("count", 0) - values.get("rejected", 0)}),
                              b"\x94\x00\x90\x90\x90"])
                self.count(1)
        asked.close()

    def lost(self):
        """The stage may be gone, or not there yet."""
        return campaign.contextlib.suppress(OSError)

    def attack(self):
        with self.lost():
            self.listen()
            self.chance.choice(self.attacks)()
            self.case.count(faults=1)
        while len(self.peers) > 300 or (self.peers and self.chance.random() < 0.2):
            self.peers.pop(0).close()


def one_case(case):
    exports, expected = case.shared
    target, run_dir, log = case.folder / "hub.db", case.folder / "r", case.folder / "log"
    config = case.folder / "c.json"
    config.write_text(json.dumps(QUICK))
    command = pipeline.run_command(exports, target, "--config", config, "--run-dir", run_dir, "--progress", "none")
    with open(log, "wb") as errors:
        process = case.start(command, stderr=errors)
    watch, liar, end = Watch(run_dir), Liar(case, run_dir), time.monotonic() + pipeline.DEADLINE
    watch.start()
    pipeline.wait_until(lambda: process.poll() is not None or (run_dir / "progress.sock").exists(), "the writer")
    for _ in range(case.chance.randint(1, 8)):
        if process.poll() is None:
            liar.attack()
    for peer in liar.peers:
        peer.close()
    while process.poll() is None:
        assert time.monotonic() < end, f"no end in sight\n{log.read_text(errors='replace')[-4000:]}"
        time.sleep(0.02)
    watch.end.set()
    watch.join()
    said, size = log.read_text(errors="replace")[-4000:], log.stat().st_size
    assert max(watch.peak.values(), default=0) <= RSS_LIMIT_KIB, f"a stage grew: {watch.peak} KiB; {liar.said}"
    assert size <= LOG_LIMIT_BYTES, f"{size} bytes of log\n{said}"
    assert process.returncode in ((3, 4) if not liar.said & ENDING else (1, 2, 3, 4, 5, 6, 70)), f"ended with {process.returncode}\n{said}"
    if process.returncode not in (3, 4):
        case.count(ended=1)
        done = case.run([*command, "--restart"])
        assert done.returncode == 3, f"the same again ended with {done.returncode}\n{done.stderr}"
    found = state.of(target, state.last_run(target))
    for name in expected:
        if name not in state.BOOKS or process.returncode == 3:
            assert found[name] == expected[name], f"{name} differs"


if __name__ == "__main__":
    campaign.main(one_case, __doc__, prepare)
