# SPDX-License-Identifier: MIT
"""Others work with the database while it is loaded and while it is put back: they write, hold locks, keep reading an old state, checkpoint, vacuum.

The run and the rollback come through, with the content of undisturbed ones; and of what the others committed not a row is lost.
"""

import contextlib
import json
import random
import sqlite3
import threading

import support.campaign as campaign
import support.state as state

pipeline = campaign.pipeline

MODULES = 800
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=3", "orphan-module=2", "duplicate-module=4")]
QUICK = {"resend_ms": 100, "linger_ms": 200, "heartbeat_ms": 20, "window_bytes": 65536}
HELD = 1.5  # seconds that a lock is held at most; pvrelay waits longer than that


def prepare(folder):
    exports = [pipeline.generate(folder / name, "--modules", MODULES, "--modules-per-audit", 100, "--revision", revision, *TRAPS)
               for name, revision in (("first", 0), ("second", 2))]
    expected = []
    for number in range(2):
        pipeline.run(exports[number], folder / "hub.db", "--run-dir", folder / "r", expect=3)
        expected.append(state.of(folder / "hub.db", number + 1))
    return exports, expected


class Other(threading.Thread):
    """Somebody else: one connection, and one thing after the other."""

    def __init__(self, target, number, seed):
        super().__init__()
        self.target, self.number, self.chance = target, number, random.Random(seed)
        self.stop, self.written, self.acts, self.broken = threading.Event(), 0, 0, None

    def run(self):
        try:
            with contextlib.closing(sqlite3.connect(self.target, timeout=0.2, isolation_level=None)) as db:
                while not self.stop.is_set():
                    try:
                        self.act(db)
                        self.acts += 1
                    except sqlite3.OperationalError as error:
                        # Held by the run, or its schema is being made, or an index of it.
                        if not any(word in str(error) for word in ("locked", "no such table", "schema has changed", "in progress", "busy")):
                            raise
                        if db.in_transaction:
                            db.execute("ROLLBACK")
                    self.stop.wait(self.chance.expovariate(200))
        except Exception as error:
            self.broken = error

    def act(self, db):
        chance, act = self.chance, self.chance.choice(("write", "write", "write", "hold", "hold-long", "read", "checkpoint", "vacuum", "analyze", "undone"))
        if act in ("write", "hold", "hold-long", "undone"):
            db.execute("BEGIN IMMEDIATE")
            db.execute("CREATE TABLE IF NOT EXISTS foreign_note (who INTEGER, number INTEGER, text TEXT, PRIMARY KEY (who, number)) WITHOUT ROWID")
            rows = chance.randint(1, 50)
            db.executemany("INSERT INTO foreign_note VALUES (?, ?, ?)",
                           [(self.number, self.written + row, "x" * chance.randint(0, 300)) for row in range(rows)])
            if act != "write":
                self.stop.wait(chance.uniform(0.05, 0.2) if act != "hold-long" or chance.random() < 0.8 else HELD)
            if act == "undone":
                db.execute("ROLLBACK")
            else:
                db.execute("COMMIT")
                self.written += rows
        elif act == "read":
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM el_modules").fetchone()
            self.stop.wait(chance.uniform(0.01, 0.4))
            db.execute("COMMIT")
        elif act == "checkpoint":
            db.execute(f"PRAGMA wal_checkpoint({chance.choice(('PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'))})").fetchall()
        elif act == "vacuum":
            if chance.random() < 0.2:
                db.execute("VACUUM")
        else:
            db.execute("PRAGMA analysis_limit = 100")
            db.execute("ANALYZE")


def beset(case, target, command, code, others):
    """The command, while `others` of them work with the target."""
    before = pipeline.query(target, "SELECT count(*) FROM foreign_note")[0][0] if "foreign_note" in tables(target) else 0
    crowd = [Other(target, case.chance.getrandbits(60), case.chance.random()) for _ in range(others)]
    for other in crowd:
        other.start()
    try:
        done = case.run(command, timeout=pipeline.DEADLINE)
    finally:
        for other in crowd:
            other.stop.set()
        for other in crowd:
            other.join()
    case.count(inputs=1, faults=sum(other.acts for other in crowd))
    said = f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    for other in crowd:
        assert other.broken is None, f"another got {other.broken!r}; {said}"
    assert done.returncode == code, said
    there = pipeline.query(target, "SELECT count(*) FROM foreign_note")[0][0] if "foreign_note" in tables(target) else 0
    assert there == before + sum(other.written for other in crowd), f"others' rows: {before} + {[other.written for other in crowd]}, there are {there}"
    state.assert_sound(target, said)


def tables(target):
    return {name for (name,) in pipeline.query(target, "SELECT name FROM sqlite_master WHERE type = 'table'")} if target.exists() else set()


def ours(content):
    return {name: [row for row in rows if b"foreign_note" not in row] for name, rows in content.items() if not name.startswith("foreign_")}


def one_target(case):
    chance = case.chance
    exports, expected = case.shared
    target = case.folder / "hub.db"
    config = case.folder / "c.json"
    config.write_text(json.dumps({**QUICK, "batch_bytes": chance.choice((1000, 3000, 10000)), "transformers": chance.randint(1, 2)}))
    made = case.run([pipeline.BIN / "pvrelay", "migrate", "--target", target])
    assert made.returncode == 0, made.stderr
    for number in range(2):
        command = pipeline.run_command(exports[number], target, "--config", config, "--run-dir", case.folder / "r")
        beset(case, target, command, 3, chance.randint(1, 2))
        state.assert_same(expected[number], ours(state.of(target, number + 1)), f"export {number + 1}")
        if case.is_late():
            return
    first = pipeline.query(target, "SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run = 1")[0][0]
    beset(case, target, [pipeline.BIN / "pvrelay", "rollback", "--target", target, "--to", first], 0, chance.randint(1, 2))
    state.assert_same({name: rows for name, rows in expected[0].items() if name not in state.BOOKS}, ours(pipeline.dump(target)), "rollback")


campaign.main(one_target, __doc__, prepare)
