# SPDX-License-Identifier: MIT
"""The Nth write, sync, read, truncate, open of a file fails (EIO, ENOSPC, EDQUOT), once or for good; descriptors or memory run out.

The command ends with a clear error and the exit code of its kind, or comes through; never does it say that all is well when it is not, nor that
the data are wrong when it is the disk. Afterwards the same command, left alone, ends with the content of an undisturbed one.
"""

import collections
import errno
import json
import re
import shutil
import signal

import support.campaign as campaign
import support.disk as disk
import support.state as state

pipeline = campaign.pipeline

MODULES = 300
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=3", "orphan-module=2", "duplicate-module=2")]
QUICK = {"resend_ms": 100, "linger_ms": 200, "heartbeat_ms": 20, "batch_bytes": 4000, "window_bytes": 65536}
NUMBERS = {
    "open": (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE),
    "read": (errno.EIO,),
    "write": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "sync": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "truncate": (errno.EIO, errno.ENOSPC),
    "socket": (errno.EMFILE, errno.ENFILE),
    "accept": (errno.EMFILE, errno.ENFILE),
    "eventfd": (errno.EMFILE, errno.ENFILE),
    "malloc": (errno.ENOMEM,),
}
# How often each kind comes up, limits among them. What ends a stage again and again takes the supervisor twenty starts.
WEIGHTS = {"write": 8, "sync": 6, "read": 6, "truncate": 3, "open": 5, "socket": 1, "accept": 1, "eventfd": 1, "malloc": 3, "limit": 1}
SCENES = ("run", "update", "report", "rollback", "seal", "verify", "run", "update")


class World:
    """Exports, targets, what is in them, and what calls each command makes."""

    def __init__(self, folder):
        self.library = disk.library("libpvrelay-fail.so")
        self.exports = [pipeline.generate(folder / name, "--modules", MODULES, "--modules-per-audit", 60, "--revision", revision, *TRAPS)
                        for name, revision in (("first", 0), ("second", 2))]
        self.config = folder / "c.json"
        self.config.write_text(json.dumps(QUICK))
        self.targets, self.expected = [], []
        for number, exports in enumerate(self.exports):
            target = folder / f"{number}.db"
            if number:
                shutil.copy(self.targets[-1], target)
            pipeline.run(exports, target, "--config", self.config, "--run-dir", folder / "r", expect=3)
            self.targets.append(target)
            self.expected.append(state.of(target, number + 1))
        self.after_first = pipeline.query(self.targets[0], "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0]
        self.calls = {}
        for name in set(SCENES):
            place = folder / name
            place.mkdir()
            scene = Scene(name, self, place)
            counts = place / "counts"
            done = pipeline.subprocess.run(scene.words, capture_output=True, env={**pipeline.os.environ, "LD_PRELOAD": str(self.library),
                                                                                  "PVRELAY_FAIL_COUNTS": str(counts)})
            assert done.returncode == scene.code, f"{name} ended with {done.returncode}, not {scene.code}: {done.stdout.decode()}{done.stderr.decode()}"
            calls = collections.Counter()
            for program, call, file, times in (line.split() for line in counts.read_text().splitlines()):
                if file not in ("urandom", place.name):
                    calls[program, call, file] += int(times)
            self.calls[name] = calls


class Scene:
    """A command on a target of its own in `folder`: what it is, how it ends when left alone, what must be there then."""

    def __init__(self, name, world, folder):
        self.name, self.world, self.folder, self.target = name, world, folder, folder / "hub.db"
        before = {"run": None, "report": None, "update": 0}.get(name, 1)
        if before is not None:
            shutil.copy(world.targets[before], self.target)
        pvrelay = pipeline.BIN / "pvrelay"
        settings = ["--config", world.config, "--run-dir", folder / "r"]
        self.number = 0 if name in ("run", "report") else 1
        load = pipeline.run_command(world.exports[self.number], self.target, *settings)
        self.words, self.code = {
            "run": (load, 3), "update": (load, 3), "report": ([*load, "--report", str(folder / "report")], 3),
            "rollback": ([pvrelay, "rollback", "--target", self.target, "--to", str(world.after_first)], 0),
            "seal": ([pvrelay, "seal", "--target", self.target], 0),
            "verify": ([pvrelay, "verify", *world.exports[1], "--target", self.target], 0),
        }[name]

    def assert_done(self):
        if self.name in ("run", "update", "report"):
            state.assert_idle_after(self.target, self.number + 1)
            state.assert_same(self.world.expected[self.number], state.of(self.target, self.number + 1), self.name)
        else:
            expected = self.world.expected[0 if self.name == "rollback" else 1]
            state.assert_same({table: rows for table, rows in expected.items() if table not in state.BOOKS}, pipeline.dump(self.target), self.name)
        if self.name == "report":
            assert json.loads((self.folder / "report/report.json").read_text())["verdict"] == "rejects"
            assert (self.folder / "report/report.md").stat().st_size > 1000
        if self.name == "seal":
            assert pipeline.query(self.target, "SELECT count(*) FROM pvrelay_undo") == [(0,)], "undo is left after the seal"


def choose(chance, calls):
    """What fails: the environment for the preloaded library, and what it is in words."""
    kinds = [kind for kind in WEIGHTS if kind == "limit" or any(call == kind for _, call, _ in calls)]
    kind = chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
    if kind == "limit":
        program = chance.choice(sorted({program for program, _, _ in calls}))
        what = f"{program} memory {chance.randint(30, 300) << 20}" if chance.random() < 0.5 else f"{program} files {chance.randint(4, 40)}"
        return {"PVRELAY_FAIL_LIMIT": what}, kind, "-", program
    program, _, file = chance.choice(sorted(entry for entry in calls if entry[1] == kind))
    times = calls[program, kind, file]
    nth = chance.randint(1, times if chance.random() < 0.7 else min(times, 5))
    mode = chance.choice(("once", "ever", "half") if kind == "write" else ("once", "once", "once", "ever") if kind == "malloc" else ("once", "ever"))
    return {"PVRELAY_FAIL": f"{program} {kind} {file} {nth} {chance.choice(NUMBERS[kind])} {mode}"}, kind, file, program


def allowed(kind, file, program):
    """Exit codes that a failure may have; the one of a command that comes through is allowed anyway."""
    codes = {1, 2, 5, 6, 70}
    if kind in ("malloc", "limit", "eventfd") and program == "pvrelay":
        codes |= {-signal.SIGABRT, 127, -signal.SIGSEGV}  # czmq asserts that it gets its sockets; 127: the loader itself found no memory
    elif file.startswith("hub.db") and kind not in ("open",):
        codes = {5}
    elif file.endswith(("audits.json", "modules.json")):
        codes = {2, 70}
    return codes


def struck(case, words, environment, what):
    """The command, to its end. Who gets no socket any more is tried again by ZeroMQ for good: then it is interrupted, and must heed that."""
    process = case.start(words, environment, stdout=pipeline.subprocess.PIPE, stderr=pipeline.subprocess.PIPE, text=True, errors="replace")
    try:
        patience = 10 if what.endswith("ever") and (" socket " in what or " accept " in what) else 120
        try:
            out, errors = process.communicate(timeout=patience)
        except pipeline.subprocess.TimeoutExpired:
            assert patience == 10, f"{what}: it hangs"
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=60)
    except pipeline.subprocess.TimeoutExpired:
        raise AssertionError(f"{what}: it hangs, and heeds no SIGTERM") from None
    return pipeline.subprocess.CompletedProcess(words, process.returncode, out, errors)


def one_fault(case):
    chance, world = case.chance, case.shared
    name = SCENES[case.number % len(SCENES)]
    scene = Scene(name, world, case.folder)
    fault, kind, file, program = choose(chance, world.calls[name])
    log = case.folder / "fired"
    what = f"{name}: {next(iter(fault.values()))}"
    print(what, file=open(case.folder / "fault", "w", encoding="utf-8"))
    done = struck(case, scene.words, {"LD_PRELOAD": str(world.library), "PVRELAY_FAIL_LOG": str(log), **fault}, what)
    fired = 1 if kind == "limit" else len(log.read_text().splitlines()) if log.exists() else 0
    case.count(inputs=1, faults=fired, io_faults=1 if fired else 0)
    said = f"{what}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    if done.returncode == scene.code:
        scene.assert_done()
    else:
        assert fired, f"nothing failed, and yet: {said}"
        assert done.returncode in allowed(kind, file, program), said
        assert done.returncode < 0 or re.search(r"^(<\d>)?pvrelay: [A-Z_]+: \S|error while loading", done.stderr, re.MULTILINE), f"no clear error: {said}"
    if scene.target.exists() and scene.target.stat().st_size:
        with state.contextlib.closing(state.sqlite3.connect(scene.target)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"not sound: {said}"
    again = case.run(scene.words, timeout=120)
    assert again.returncode == scene.code, f"given again: exit code {again.returncode}\n{again.stdout[-2000:]}\n{again.stderr[-3000:]}\nbefore: {said}"
    try:
        scene.assert_done()
    except AssertionError as error:
        raise AssertionError(f"{error}\nbefore: {said}") from None


campaign.main(one_fault, __doc__, World)
