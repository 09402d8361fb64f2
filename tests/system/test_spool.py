# SPDX-License-Identifier: MIT
"""A spool: each set that arrives is replayed once, in order of arrival, whoever is killed when, and goes to done/ or failed/ with its report."""

import json
import os
import pathlib
import random
import shutil
import sqlite3
import unittest

import managed
import pipeline

SEED = int(os.environ.get("PVRELAY_SEED", "1"))
WINDOWS = (("manage.in-claim", 1), ("manage.after-claim", 2), ("manage.after-config", 2), ("manage.before-report", 2),
           ("manage.after-report", 1), ("manage.after-report", 2), ("manage.before-move", 2), ("manage.after-move", 1), ("manage.after-move", 3))


class Spool(unittest.TestCase):
    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.prepare(self.root)

    def prepare(self, root):
        self.target, self.spool = root / "hub.db", root / "in"
        self.spool.mkdir(parents=True)
        self.last = 0

    def manager(self, root=None, environment=None, complete="renamed", **settings):
        return managed.Managed(root or self.root, {"spool": str(self.spool), "complete": complete}, self.target, environment, **settings)

    # ---- the producer ----

    def export(self, name, *arguments):
        """A folder with an export pair; not in the spool yet."""
        pipeline.generate(self.root / "made" / name, *arguments)
        return self.root / "made" / name

    def settle(self):
        """The order of arrival goes by times that may be as coarse as the kernel's tick: what is dropped next has a later one than
        what was dropped until now, which may have been taken up already."""
        probe = self.root / "probe"

        def now():
            probe.touch()
            os.chmod(probe, 0o600)
            return probe.stat().st_ctime_ns
        dropped = now()
        pipeline.wait_until(lambda: now() > dropped, "the clock of the filesystem")

    def drop(self, source, name):
        """As a producer does: under another name first, then renamed."""
        temporary = self.spool / f"{name}.tmp"
        if source.is_dir():
            shutil.copytree(source, temporary)
        else:
            shutil.copy(source, temporary)
        temporary.rename(self.spool / name)

    def drop_text(self, name, text):
        (self.root / "text").write_text(text)
        self.drop(self.root / "text", name)

    # ---- what is to be found afterwards ----

    def names(self, place):
        return sorted(entry.name for entry in (self.spool / place).iterdir())

    def waiting(self):
        return sorted(entry.name for entry in self.spool.iterdir() if entry.name not in ("done", "failed", "work"))

    def report(self, place):
        return json.loads((self.spool / place / "report.json").read_text())

    def runs(self):
        """Which set each run was of, and how it ended."""
        return [(pathlib.Path(path).relative_to(self.spool / "work" / run).parts[0], state, outcome) for run, state, outcome, path in pipeline.query(
            self.target, "SELECT r.id, r.state, r.outcome, s.path FROM pvrelay_run r JOIN pvrelay_source s USING (run) WHERE s.source = 0 ORDER BY r.run")]

    def until_idle(self, manager, names):
        """All of these have gone to their place."""
        manager.until(lambda: "manager" in manager.ended and manager.ended["manager"] >= 0 or
                      all((self.spool / name).exists() for name in names) and not self.names("work"), f"{names}\n")
        self.assertNotIn("manager", manager.ended, manager.text())

    def replay_by_hand(self, sets):
        """The same sets, one after the other, by `pvrelay run`: what the target is to hold."""
        reference = self.root / "reference.db"
        for source in sets:
            files = sorted(source.iterdir()) if source.is_dir() else [source]
            pipeline.run(files, reference, expect=None)
        return pipeline.dump(reference)

    def stop_idle(self, manager):
        manager.stop(self)
        self.assertEqual(manager.ended["manager"], 0, manager.text())

    # ---- the tests ----

    def test_twenty_sets(self):
        """Files and folders, revisions of each other, while all five processes are being killed."""
        chance = random.Random(SEED)
        sets = []
        for number in range(20):
            database, revision = number % 3, number // 3
            folder = self.export(f"{number}", "--audits", 3, "--modules-per-audit", 150, "--seed", database + 1, "--revision", revision,
                                 "--layout", "one-file" if number % 4 == 0 else "pair")
            # Names say nothing about the order.
            name = f"{chance.randrange(1000):03}-{number}"
            sets.append((folder, name) if number % 4 else (next(folder.iterdir()), name + ".json"))
        with self.manager(batch_bytes=16384, window_bytes=65536, resend_ms=200) as manager:
            manager.start()
            for source, name in sets:
                self.drop(source, name)
                self.settle()
                manager.turn()
                if chance.random() < 0.6:
                    manager.kill(chance.choice(("manager", *managed.STAGES)))
            while not all((self.spool / "done" / name).exists() for _, name in sets):
                done = len(self.names("done"))
                manager.until(lambda: len(self.names("done")) > done, "the next set to be done")
                for victim in chance.sample(("manager", *managed.STAGES), chance.choice((0, 1, 1, 3))):
                    manager.kill(victim)
            manager.until(lambda: not self.names("work"), "work/ to be empty")
            manager.until(manager.all_up, "all to be up again")
            self.stop_idle(manager)
            self.assertGreaterEqual(sum(manager.starts.values()), 15)
            log = manager.text()
        self.assertEqual(self.runs(), [(name, "complete", 0) for _, name in sets], log)
        self.assertEqual((self.waiting(), self.names("failed")), ([], []))
        for number, (source, name) in enumerate(sets):
            place = self.spool / "done" / name
            self.assertEqual(sorted(entry.name for entry in place.iterdir()), sorted(["report.json", "report.md", name]))
            report = self.report(f"done/{name}")
            self.assertEqual((report["run"]["number"], report["verdict"]), (number + 1, "good"))
            self.assertTrue(all(pathlib.Path(entry["path"]).exists() for entry in report["sources"]), report["sources"])
        pipeline.assert_same_dump(self, self.replay_by_hand(source for source, _ in sets), pipeline.dump(self.target))
        pipeline.assert_accounted(self, self.target)

    def test_broken_sets(self):
        """Each goes to failed/ with a report that says why; the good ones among them are replayed."""
        good = self.export("good", "--preset", "production")
        truncated = good.parent / "truncated"
        shutil.copytree(good, truncated)
        modules = truncated / "prod_export_modules.json"
        modules.write_bytes(modules.read_bytes()[:40000])
        empty, linked, holds_link = (self.root / name for name in ("empty", "linked", "holds"))
        for folder in (empty, linked, holds_link):
            folder.mkdir()
        (empty / "readme.txt").write_text("nothing here")
        (holds_link / "a.json").symlink_to(good / "prod_export_audits.json")
        with self.manager() as manager:
            manager.start()
            self.drop(truncated, "1-truncated")
            self.settle()
            self.drop_text("2-unknown.json", '[{"results": [{"colour": "red"}], "success": true, "meta": {}}]')
            self.settle()
            self.drop(empty, "3-empty")
            self.settle()
            (self.spool / "4-link.json").symlink_to(modules)
            self.until_idle(manager, ["failed/4-link.json"])
            os.mkfifo(self.spool / "6-fifo.json")
            (self.spool / "5-holds").mkdir()
            self.until_idle(manager, ["failed/5-holds", "failed/6-fifo.json"])
            holds_link.rename(self.spool / "7-holds")
            self.until_idle(manager, ["failed/7-holds"])
            rejected = self.export("rejects", "--modules", 200, "--trap", "unknown-status=3")
            self.drop(good, "8-good")
            self.settle()
            self.drop(rejected, "9-rejects")
            self.settle()
            self.until_idle(manager, ["done/8-good", "done/9-rejects"])
            self.stop_idle(manager)
        self.assertEqual(self.runs(), [("8-good", "complete", 0), ("9-rejects", "complete", 3)])
        self.assertEqual(self.report("done/9-rejects")["verdict"], "rejects")
        self.assertTrue(all(pathlib.Path(reject["path"]).exists() for reject in self.report("done/9-rejects")["rejects"]))
        self.assertEqual(self.names("failed"), ["1-truncated", "2-unknown.json", "3-empty", "4-link.json", "5-holds", "6-fifo.json", "7-holds"])
        for name, error, text in (
                ("1-truncated", "TRUNCATED", "prod_export_modules.json, byte 40000 (line 1322): truncated: "),
                ("2-unknown.json", "UNKNOWN_STREAM", "2-unknown.json"),
                ("3-empty", "UNREADABLE", "/3-empty: holds no export: no file *.json, *.jsonl or *.ndjson"),
                ("4-link.json", "UNREADABLE", "/4-link.json: is a symbolic link, which a spool does not follow"),
                ("5-holds", "UNREADABLE", "/5-holds: holds no export: no file *.json, *.jsonl or *.ndjson"),
                ("6-fifo.json", "UNREADABLE", "/6-fifo.json: is not a regular file"),
                ("7-holds", "UNREADABLE", "/7-holds/a.json: is a symbolic link, which a spool does not follow")):
            report = self.report(f"failed/{name}")
            self.assertEqual((report["error"]["name"], report["error"]["exit_code"], report["verdict"], report["run"]["state"]),
                             (error, 2, "incomplete", "failed"))
            self.assertIn(text, report["error"]["text"])
            self.assertTrue(report["error"]["text"].startswith(f"{self.spool}/failed/{name}/"), report["error"])
            self.assertTrue(os.path.lexists(self.spool / "failed" / name / name))
            self.assertTrue((self.spool / "failed" / name / "report.md").exists())
        self.assertEqual(modules.stat().st_size, 40000)  # what links point to is not touched

    def test_failed_in_the_middle(self):
        """Too many rejects: the run has begun; it is given up in the books, and the next set goes on."""
        bad = self.export("bad", "--modules", 2000, "--trap", "unknown-status=30")
        good = self.export("good", "--preset", "production")
        with self.manager(max_rejects=5, batch_bytes=16384, window_bytes=65536) as manager:
            manager.start()
            self.drop(bad, "bad")
            self.settle()
            self.drop(good, "good")
            self.until_idle(manager, ["failed/bad", "done/good"])
            self.stop_idle(manager)
        self.assertEqual(self.runs(), [("bad", "abandoned", None), ("good", "complete", 0)])
        report = self.report("failed/bad")
        self.assertEqual((report["error"]["name"], report["run"]["state"], report["run"]["number"]), ("REJECT_LIMIT", "abandoned", 1))

    def test_taken_back(self):
        """With on_reject_limit rollback nothing of a failed set stays in the target."""
        bad = self.export("bad", "--modules", 2000, "--trap", "unknown-status=30")
        good = self.export("good", "--preset", "production")
        with self.manager(max_rejects=5, on_reject_limit="rollback", batch_bytes=16384, window_bytes=65536) as manager:
            manager.start()
            self.drop(bad, "bad")
            self.settle()
            self.drop(good, "good")
            self.until_idle(manager, ["failed/bad", "done/good"])
            self.stop_idle(manager)
        self.assertEqual(self.report("failed/bad")["verdict"], "taken_back")
        pipeline.assert_same_dump(self, self.replay_by_hand([good]), {**pipeline.dump(self.target)})

    def test_names_that_are_not_sets(self):
        """What is still being written is not looked at, nor what is no export; a set that is moved back is replayed again."""
        good = self.export("good", "--preset", "production")
        audits = good / "prod_export_audits.json"
        with self.manager() as manager:
            for name in ("a.json.tmp", "b.json.part", "c.json.partial", "d.json.new", ".e.json", "f.txt", "g.json.gz"):
                shutil.copy(audits, self.spool / name)
            shutil.copytree(good, self.spool / "h.tmp")
            shutil.copytree(good, self.spool / "lost+found")
            before = self.waiting()
            manager.start()
            self.drop(audits, "report.json")
            self.until_idle(manager, ["done/export-report.json"])
            for times in (1, 2, 3):
                self.drop(good, "set")
                self.until_idle(manager, [f"done/set.{times}" if times > 1 else "done/set"])
            (self.spool / "done" / "set.2" / "set").rename(self.spool / "set")
            self.until_idle(manager, ["done/set.4"])
            self.assertEqual(self.waiting(), before)
            self.stop_idle(manager)
        self.assertEqual(self.runs(), [("export-report.json", "complete", 0)] + 4 * [("set", "complete", 0)])
        self.assertEqual(self.report("done/set.4")["streams"][1]["unchanged"], 462)
        self.assertTrue((self.spool / "done" / "export-report.json" / "export-report.json").exists())

    def test_marked(self):
        """A set counts when its marker is there; the order is that of the markers."""
        good = self.export("good", "--preset", "production")
        with self.manager(complete="marked") as manager:
            manager.start()
            shutil.copytree(good, self.spool / "b-folder")
            shutil.copytree(good, self.spool / "c-folder")
            shutil.copy(good / "prod_export_audits.json", self.spool / "a.json")
            shutil.copy(good / "prod_export_audits.json", self.spool / "never.json")
            marker = self.spool / "c-folder" / ".done"
            marker.touch()
            self.settle()
            self.until_idle(manager, ["done/c-folder"])
            os.kill(manager.processes["manager"].pid, 19)  # SIGSTOP: both have arrived when it looks again
            for name in ("b-folder.done", "a.json.done"):
                (self.spool / name).touch()
                self.settle()
            os.kill(manager.processes["manager"].pid, 18)
            self.until_idle(manager, ["done/b-folder", "done/a.json"])
            self.assertEqual(self.waiting(), ["never.json"])
            self.stop_idle(manager)
        self.assertEqual([name for name, _, _ in self.runs()], ["c-folder", "b-folder", "a.json"])
        self.assertEqual(self.names("done/a.json"), ["a.json", "a.json.done", "report.json", "report.md"])

    def test_windows(self):
        """The manager is killed at each of its windows, over a good set, a broken one and one that fails half-way."""
        good = self.export("good", "--modules", 300)
        bad = self.export("bad", "--modules", 600, "--trap", "unknown-status=9")
        sets = (("1-good", "done", "complete", 0), ("2-bad", "failed", "abandoned", None), ("3-good", "done", "complete", 0))
        for window, turn in WINDOWS:
            with self.subTest(window=window, turn=turn):
                root = self.root / f"{window.split('.')[1]}-{turn}"
                self.prepare(root)
                self.drop(good, "1-good")
                self.settle()
                self.drop(bad, "2-bad")
                self.settle()
                self.drop_text("2-broken.json", "[")
                self.settle()
                self.drop(good, "3-good")
                environment = {"PVRELAY_FAULT": f"{window}@{turn}", "PVRELAY_FAULT_MARKER": str(root / "struck")}
                with self.manager(root, environment, max_rejects=3, batch_bytes=16384, window_bytes=65536) as manager:
                    manager.start()
                    self.until_idle(manager, ["done/1-good", "failed/2-bad", "failed/2-broken.json", "done/3-good"])
                    self.assertTrue((root / "struck").exists())
                    self.stop_idle(manager)
                    self.assertEqual(manager.starts["manager"], 2)
                self.assertEqual(self.runs(), [(name, state, outcome) for name, _, state, outcome in sets])
                for name, place, _, _ in (*sets, ("2-broken.json", "failed", None, None)):
                    self.assertEqual(self.names(f"{place}/{name}"), sorted([name, "report.json", "report.md"]))
                self.assertEqual(self.report("failed/2-bad")["run"]["state"], "abandoned")
                self.assertEqual((self.names("done"), self.names("failed"), self.waiting()),
                                 (["1-good", "3-good"], ["2-bad", "2-broken.json"], []))

    def test_run_folder_lost(self):
        """A crash of the machine takes the run folder along: the spool and the target know where it was."""
        good = self.export("good", "--modules", 300)
        for window in ("manage.after-config", "manage.before-report", "manage.after-report", "manage.before-move", "manage.after-move"):
            with self.subTest(window=window):
                root = self.root / window.split(".")[1]
                self.prepare(root)
                self.drop(good, "1-good")
                self.settle()
                self.drop(good, "2-good")
                with self.manager(root, {"PVRELAY_FAULT": window, "PVRELAY_FAULT_MARKER": str(root / "struck")}) as manager:
                    manager.start_manager()
                    pipeline.wait_until((manager.run_dir / "config.json").exists, "the configuration")
                    for name in managed.STAGES:
                        manager.start_stage(name)
                    pipeline.wait_until(lambda: manager.processes["manager"].poll() is not None, "the manager's death")
                    for name in managed.STAGES:
                        manager.kill(name)
                    shutil.rmtree(manager.run_dir)
                    manager.start()
                    self.until_idle(manager, ["done/1-good", "done/2-good"])
                    self.stop_idle(manager)
                self.assertEqual(self.runs(), [("1-good", "complete", 0), ("2-good", "complete", 0)])

    def test_two_managers(self):
        """Of one spool: the second leaves, and says why; the order of the sets is kept."""
        good = self.export("good", "--preset", "production")
        (self.root / "second").mkdir()
        with self.manager() as manager, self.manager(self.root / "second") as second:
            manager.start()
            second.start_manager()
            second.until(lambda: "manager" in second.ended, "the second manager's end")
            self.assertEqual(second.ended["manager"], 1, second.text())
            self.assertIn(f"CONFIG: {self.spool}: another manager works on this spool; stop it, or give each a spool of its own", second.text())
            self.drop(good, "1-good")
            self.until_idle(manager, ["done/1-good"])
            manager.kill("manager")
            second.start()
            manager.ended["manager"] = 0  # it is not started again
            self.settle()
            self.drop(good, "2-good")
            pipeline.wait_until(lambda: (self.spool / "done/2-good").exists(), "the second manager to take over")
            second.stop(self)
            manager.stop(self)

    def test_target_held_by_another(self):
        """That is no fault of the set: everything stops with exit code 5; the next start goes on with it."""
        good = self.export("good", "--modules", 300)
        with self.manager(lock_wait_s=1) as manager:
            manager.start()
            self.drop(good, "1-good")
            self.until_idle(manager, ["done/1-good"])
            holder = sqlite3.connect(self.target, isolation_level=None)
            try:
                holder.execute("BEGIN IMMEDIATE")
                self.drop(good, "2-good")
                manager.finish(self, 5)
            finally:
                holder.close()
            (run,) = self.names("work")
            self.assertEqual(self.names(f"work/{run}"), ["2-good"])
            self.assertIn(f"set 2-good stays in {self.spool}/work/{run}; started again, it goes on", manager.text())
            manager.start()
            self.until_idle(manager, ["done/2-good"])
            self.stop_idle(manager)
        self.assertEqual(pipeline.query(self.target, "SELECT id FROM pvrelay_run ORDER BY run DESC LIMIT 1"), [(run,)])
        self.assertEqual(self.runs(), [("1-good", "complete", 0), ("2-good", "complete", 0)])

    def test_stopped_in_the_middle(self):
        """SIGTERM: 6, and the set stays; the next start goes on with the same run."""
        big = self.export("big", "--modules", 20000)
        with self.manager(batch_bytes=16384, window_bytes=65536) as manager:
            manager.start()
            self.drop(big, "big")
            manager.until(lambda: pipeline.checkpoints(self.target) > 5, "checkpoints")
            manager.stop(self)
            self.assertEqual(set(manager.ended.values()), {6}, manager.text())
            (run,) = self.names("work")
            manager.start()
            self.until_idle(manager, ["done/big"])
            self.stop_idle(manager)
        self.assertEqual(pipeline.query(self.target, "SELECT id, state FROM pvrelay_run"), [(run, "complete")])

    def test_given_up_by_the_operator(self):
        """`pvrelay run --restart` gives up the set's run: the set is replayed by a new one."""
        big = self.export("big", "--modules", 20000)
        good = self.export("good", "--preset", "production")
        with self.manager(batch_bytes=16384, window_bytes=65536) as manager:
            manager.start()
            self.drop(big, "big")
            manager.until(lambda: pipeline.checkpoints(self.target) > 5, "checkpoints")
            manager.stop(self)
            pipeline.run(sorted(good.iterdir()), self.target, "--restart")
            manager.start()
            self.until_idle(manager, ["done/big"])
            self.stop_idle(manager)
        self.assertEqual(pipeline.query(self.target, "SELECT state FROM pvrelay_run ORDER BY run"),
                         [("abandoned",), ("complete",), ("complete",)])
        self.assertEqual(self.report("done/big")["run"]["number"], 3)

    def test_another_run_is_unfinished(self):
        """It is not of this spool: nobody knows what to do with it."""
        big = self.export("big", "--modules", 20000)
        small = pipeline.write_config(self.root / "small.json", [], self.target, self.root / "o", batch_bytes=16384, window_bytes=65536,
                                      max_rejects=0)
        config = json.loads(small.read_text())
        del config["sources"]
        small.write_text(json.dumps(config))
        spoiled = self.export("spoiled", "--modules", 3000, "--trap", "unknown-status=1")
        pipeline.run(sorted(spoiled.iterdir()), self.target, "--config", small, expect=2)
        run = pipeline.query(self.target, "SELECT id FROM pvrelay_run WHERE state = 'streaming'")[0][0]
        self.drop(big, "big")
        with self.manager() as manager:
            manager.start_manager()
            manager.until(lambda: "manager" in manager.ended, "the manager's end")
            self.assertEqual(manager.ended["manager"], 1)
            self.assertIn(f"UNFINISHED: {self.target}: run 1 ({run}) is not finished, and is not of this configuration; finish it, or give it up"
                          " with `pvrelay run --restart`", manager.text())
        self.assertEqual(len(self.names("work")), 1)

    def test_what_does_not_belong_into_work(self):
        for names, said in ((["thing"], "thing: is not of this spool; take it away"),
                            (["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
                             f"holds more than one set; put all but one of them back into {self.spool}, and remove their folders")):
            with self.subTest(names=names):
                for name in names:
                    (self.spool / "work" / name / "set").mkdir(parents=True)
                with self.manager() as manager:
                    manager.start_manager()
                    manager.until(lambda: "manager" in manager.ended, "the manager's end")
                    self.assertEqual(manager.ended["manager"], 1)
                    self.assertIn(said, manager.text())
                    (self.root / "log").unlink()
                shutil.rmtree(self.spool / "work")


if __name__ == "__main__":
    unittest.main()
