# SPDX-License-Identifier: MIT
"""The power fails at any moment: what a run, an update, a rollback, a seal, a name, a spool asked of the disk is recorded, and played up to that moment.

One recording gives many cuts. After each the database is sound, all is there that a sync promised, the same command goes on and ends with the
same content; and of what was reported as done (exit code, a set in done/) nothing is lost, whatever others had the database open.
"""

import contextlib
import json
import pathlib
import shutil
import sqlite3
import time

import support.campaign as campaign
import support.disk as disk
import support.state as state

import managed

pipeline = campaign.pipeline

MODULES = 300
CUTS = 24  # of one recording
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=3", "orphan-module=2", "duplicate-module=2")]
QUICK = {"resend_ms": 100, "linger_ms": 200, "heartbeat_ms": 20}


class World:
    """What all cases share: two exports, the target after each of them, what is in it then."""

    def __init__(self, folder):
        disk.library()
        self.exports = [pipeline.generate(folder / name, "--modules", MODULES, "--modules-per-audit", 60, "--revision", revision, *TRAPS)
                        for name, revision in (("first", 0), ("second", 2))]
        self.targets, self.expected = [], []
        for number, exports in enumerate(self.exports):
            target = folder / f"{number}.db"
            if number:
                shutil.copy(self.targets[-1], target)
            pipeline.run(exports, target, "--run-dir", folder / "r", expect=3)
            self.targets.append(target)
            self.expected.append(state.of(target, number + 1))
        self.after_first = pipeline.query(self.targets[0], "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0]

    def content(self, number):
        return {name: rows for name, rows in self.expected[number].items() if name not in state.BOOKS}


class Scene:
    """What is recorded, and what must hold after a cut. The target is disk/hub.db; the folder's name stays the same after a cut."""

    def __init__(self, case):
        self.case, self.world, self.root = case, case.shared, case.folder / "disk"
        self.target, self.run_dir = self.root / "hub.db", case.folder / "r"
        self.root.mkdir()
        self.config = case.folder / "c.json"
        self.config.write_text(json.dumps({**QUICK, "batch_bytes": case.chance.choice((1000, 4000, 16000)), "window_bytes": 65536,
                                           "transformers": case.chance.randint(1, 2)}))

    def command(self, environment=None):
        done = self.case.run(self.words(), environment)
        assert done.returncode == self.CODE, f"{' '.join(map(str, self.words()))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"

    def record(self, recorder):
        self.command(recorder.environment)

    def after(self):
        """After the cut: go on."""
        shutil.rmtree(self.run_dir, ignore_errors=True)
        self.command()
        self.done()


class Load(Scene):
    """An export into a target that holds NUMBER others."""
    CODE = 3

    def __init__(self, case):
        super().__init__(case)
        if self.NUMBER:
            shutil.copy(self.world.targets[self.NUMBER - 1], self.target)
        self.reports = case.chance.random() < 0.5

    def words(self):
        reports = ["--report", self.root / "report"] if self.reports else []
        return pipeline.run_command(self.world.exports[self.NUMBER], self.target, "--config", self.config, "--run-dir", self.run_dir, *reports)

    def done(self):
        state.assert_idle_after(self.target, self.NUMBER + 1)
        state.assert_same(self.world.expected[self.NUMBER], state.of(self.target, self.NUMBER + 1), "the run")
        if self.reports:
            report = json.loads((self.root / "report/report.json").read_text())
            assert report["verdict"] == "rejects", report["verdict"]
            assert (self.root / "report/report.md").read_text().endswith("\n")


class Run(Load):
    NUMBER = 0


class Update(Load):
    NUMBER = 1


class Rollback(Scene):
    """From the second export back to the first."""
    CODE = 0

    def __init__(self, case):
        super().__init__(case)
        shutil.copy(self.world.targets[1], self.target)

    def words(self):
        return [pipeline.BIN / "pvrelay", "rollback", "--target", self.target, "--to", self.world.after_first]

    def after(self):
        found = pipeline.dump(self.target)
        whole = found["el_modules"] in (self.world.content(0)["el_modules"], self.world.content(1)["el_modules"])
        assert whole, "the rollback is there in part"
        super().after()

    def done(self):
        state.assert_same(self.world.content(0), pipeline.dump(self.target), "the rollback")


class Seal(Scene):
    CODE = 0

    def __init__(self, case):
        super().__init__(case)
        shutil.copy(self.world.targets[1], self.target)

    def words(self):
        return [pipeline.BIN / "pvrelay", "seal", "--target", self.target]

    def done(self):
        state.assert_same(self.world.content(1), pipeline.dump(self.target), "the seal")
        assert pipeline.query(self.target, "SELECT count(*) FROM pvrelay_undo") == [(0,)], "undo is left after the seal"


class Name(Scene):
    CODE = 0

    def __init__(self, case):
        super().__init__(case)
        shutil.copy(self.world.targets[1], self.target)

    def words(self):
        return [pipeline.BIN / "pvrelay", "checkpoint", "october", "--target", self.target]

    def after(self):
        if not pipeline.query(self.target, "SELECT * FROM pvrelay_name"):
            self.command()
        self.done()

    def done(self):
        state.assert_same(self.world.content(1), pipeline.dump(self.target), "the name")
        assert pipeline.query(self.target, "SELECT name FROM pvrelay_name") == [("october",)], "the name is lost"


class Spool(Scene):
    """Two sets arrive in a spool."""

    def __init__(self, case):
        super().__init__(case)
        self.spool, self.places = self.root / "in", ("1-first", "2-second")
        self.spool.mkdir()
        for number, name in enumerate(self.places):
            (self.spool / name).mkdir()
            for path in self.world.exports[number]:
                shutil.copy(path, self.spool / name)

    def manage(self, environment, mark):
        """The manager and its daemons until all sets are in done/."""
        folder = self.case.folder / "m"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with contextlib.ExitStack() as ended:
            for name, value in environment.items():
                managed.os.environ[name] = value
                ended.callback(managed.os.environ.pop, name)
            manager = ended.enter_context(managed.Managed(folder, {"spool": str(self.spool)}, self.target, **QUICK, batch_bytes=4000,
                                                          window_bytes=65536))
            manager.start()
            for name in self.places:
                try:
                    manager.until(lambda: (self.spool / "done" / name).exists() or "manager" in manager.ended, f"{name} to be done")
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{manager.text()[-4000:]}") from None
                assert (self.spool / "done" / name).exists(), f"the manager ended\n{manager.text()[-4000:]}"
                mark(name)
            for process in manager.processes.values():
                process.terminate()
            manager.until(manager.all_ended, "the end after SIGTERM", restart=False)

    def record(self, recorder):
        self.manage(recorder.environment, recorder.mark)

    def after(self):
        self.manage({}, lambda name: None)
        self.done()

    def marked(self, marks):
        """Sets that lay in done/ before the cut: they lie there, and what they brought is in the target."""
        for number, name in enumerate(self.places):
            if name in marks:
                assert (self.spool / "done" / name / name).exists(), f"{name} is no longer in done/"
                assert json.loads((self.spool / "done" / name / "report.json").read_text())["verdict"] == "rejects"
                assert state.last_run(self.target) > number, f"the run of {name} is lost"
                found = pipeline.query(self.target, "SELECT state FROM pvrelay_run WHERE run = ?", number + 1)
                assert found == [("complete",)], f"the run of {name} is {found}"

    def done(self):
        state.assert_same(self.world.content(1), pipeline.dump(self.target), "the spool")
        left = sorted(str(path.relative_to(self.spool)) for path in self.spool.glob("*/*"))
        assert left == [f"done/{name}" for name in self.places] or left == [f"done/{name}" for name in self.places] + ["work/ended.json"], left
        assert pipeline.query(self.target, "SELECT state, outcome FROM pvrelay_run") == [("complete", 3)] * 2


SCENES = (Run, Update, Rollback, Seal, Run, Update, Name, Spool)


def is_target(path):
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def onlooker(case, target):
    """Somebody else has the database open all the time (the HUB), so that nobody is the last who closes it."""
    connection = None

    def look():
        nonlocal connection
        connection = sqlite3.connect(f"file:{target}?mode=ro", uri=True, timeout=30, check_same_thread=False)
        try:
            return bool(connection.execute("SELECT name FROM sqlite_master").fetchall())
        except sqlite3.OperationalError:
            connection.close()
            return False

    stop = campaign.threading.Event()

    def wait():
        while not stop.is_set() and not (is_target(target) and look()):
            time.sleep(0.001)

    thread = campaign.threading.Thread(target=wait)
    thread.start()

    def end():
        stop.set()
        thread.join()
        if connection is not None:
            connection.close()

    return end


def checkpoints(folder):
    """How many there are in the folder's hub.db, which must be sound; it is recovered."""
    if not is_target(folder / "hub.db"):
        return 0
    with contextlib.closing(sqlite3.connect(folder / "hub.db")) as db:
        found = db.execute("PRAGMA integrity_check").fetchall(), db.execute("PRAGMA foreign_key_check").fetchall()
        assert found == ([("ok",)], []), f"not sound after the cut: {found}"
        if not db.execute("SELECT * FROM sqlite_master WHERE name = 'pvrelay_checkpoint'").fetchall():
            return 0
        return db.execute("SELECT count(*) FROM pvrelay_checkpoint").fetchone()[0]


def cut(scene, plays, chance, lost):
    """Lay down what is on the disk now, and see that all holds."""
    case, fate = scene.case, "lost" if lost else None
    synced = case.folder / "synced"
    plays.write(synced, chance, "lost")
    least = checkpoints(synced)
    shutil.rmtree(scene.root)
    plays.write(scene.root, chance, fate)
    case.count(cuts=1, inputs=1, faults=1)
    # What SQLite recovers is looked at in a copy: it must not have been done when the command comes.
    shutil.rmtree(synced)
    synced.mkdir()
    for path in scene.root.glob("hub.db*"):
        shutil.copy(path, synced)
    there = checkpoints(synced)
    shutil.rmtree(synced)
    assert there >= least or isinstance(scene, Rollback), f"{least} checkpoints were on the disk, {there} are there"
    if plays.marks:
        if isinstance(scene, Spool):
            scene.marked(plays.marks)
        else:
            scene.done()
    scene.after()


def assert_whole(plays, kept, folder, chance):
    """Nothing escaped the record: with all of it kept it gives the very files that are there."""
    plays.write(folder, chance, "kept")
    ours, theirs = ({str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.name.endswith("-shm")}
                    for root in (folder, kept))
    shutil.rmtree(folder)
    assert ours == theirs, f"the record is not all that was written: {sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))}"


def one_recording(case):
    chance = case.chance
    scene = SCENES[case.number % len(SCENES)](case)
    recorder = disk.Recorder(scene.root, case.folder / "record")
    looks_on = onlooker(case, scene.target) if chance.random() < 0.5 else None
    scene.record(recorder)
    recorder.mark("done")
    kept = case.folder / "recorded"
    shutil.copytree(scene.root, kept)
    if looks_on:
        looks_on()
    records = recorder.records()
    points = sorted({len(records), *(chance.randrange(len(records)) for _ in range(CUTS))})
    if case.seconds < 10:
        points = sorted({len(records), *chance.sample(points, min(4, len(points)))})
    played = 0
    for point in points:
        for record in records[played:point]:
            recorder.base.play(record)
        played = point
        if point == len(records):
            assert_whole(recorder.base, kept, case.folder / "whole", chance)
        lost = point == len(records) or chance.random() < 0.2
        try:
            cut(scene, recorder.base, chance, lost)
        except BaseException as error:
            onlooked = ", with another connection open" if looks_on else ""
            error.add_note(f"{type(scene).__name__}{onlooked}: cut after record {point} of {len(records)}, unsynced "
                           f"{'lost' if lost else 'at random'}; marks {recorder.base.marks}")
            raise
        if case.is_late():
            break


campaign.main(one_recording, __doc__, World)
