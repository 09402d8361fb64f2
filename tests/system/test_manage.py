# SPDX-License-Identifier: MIT
"""A managed run, by hand: the manager begins it, waits, reports and ends with its exit code, whoever is killed when."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import unittest

import managed
import pipeline
import test_report

SEED = int(os.environ.get("PVRELAY_SEED", "1"))
SMALL = {"batch_bytes": 16384, "window_bytes": 65536, "resend_ms": 200}
WINDOWS = ("manage.after-config", "manage.before-report", "manage.after-report", "manage.before-clear")


class Manage(unittest.TestCase):
    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.target = self.root / "hub.db"
        self.reports = self.root / "hub.db-reports"

    def report(self, folder):
        return json.loads((folder / "report.json").read_text())

    def assert_clean(self, manager):
        left = [name for name in managed.files_left(manager.run_dir) if not name.endswith((".sock", ".counters", ".starts"))]
        self.assertEqual(left, [], "left in the run folder")

    def assert_one_run(self, state="complete"):
        self.assertEqual(pipeline.query(self.target, "SELECT run, state FROM pvrelay_run"), [(1, state)])

    def command(self, *arguments, expect):
        done = subprocess.run([pipeline.BIN / "pvrelay", *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stderr

    def test_complete(self):
        exports = pipeline.generate(self.root / "e", "--modules", 1500)
        with managed.Managed(self.root, exports, self.target, transformers=2) as manager:
            manager.start(WATCHDOG_USEC="900000", WATCHDOG_PID="")
            manager.finish(self, 0)
            manager.listen()
            self.assertEqual(manager.said[0], "READY=1")
            self.assertEqual([word for word in manager.said if word.startswith("STATUS=")][-1], "STATUS=complete")
            self.assertIn("STOPPING=1", manager.said)
            text = manager.text()
            self.assert_clean(manager)
        run = pipeline.query(self.target, "SELECT id FROM pvrelay_run")[0][0]
        self.assertEqual(text.splitlines(), [
            f"<5>pvrelay: run {run} begins: 2 exports into {self.target}",
            "<5>pvrelay: run 1: complete, validated, nothing rejected: read 1,503 of 1,503 records = written 1,503 + unchanged 0 + rejected 0;"
            f" proved 1,503; report: {self.reports}/run-1"])
        report = self.report(self.reports / "run-1")
        self.assertEqual((report["verdict"], report["outcome"], report["error"], report["run"]["id"]), ("good", 0, None, run))
        self.assertEqual(report["command"], f"pvrelay manage --config {manager.config}")
        self.assertTrue((self.reports / "run-1" / "report.md").read_text().startswith("# Migration report: run 1\n"))
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))

    def test_twice_is_two_runs(self):
        """A proper end is an end: started again, it begins anew."""
        exports = pipeline.generate(self.root / "e", "--preset", "production")
        with managed.Managed(self.root, exports, self.target) as manager:
            for run in (1, 2):
                manager.start()
                manager.finish(self, 0)
                self.assertTrue((self.reports / f"run-{run}" / "report.json").exists())
        self.assertEqual(pipeline.query(self.target, "SELECT run, state FROM pvrelay_run"), [(1, "complete"), (2, "complete")])
        self.assertEqual(self.report(self.reports / "run-2")["streams"][1]["unchanged"], 462)

    def test_left_by_another_run(self):
        """`pvrelay run` in the same folder leaves its configuration there: that is no run of the manager's."""
        exports = pipeline.generate(self.root / "e", "--preset", "production")
        with managed.Managed(self.root, exports, self.target) as manager:
            pipeline.run(exports, self.target, "--run-dir", manager.run_dir)
            self.assertTrue((manager.run_dir / "config.json").exists())
            manager.start()
            manager.finish(self, 0)
        self.assertEqual(pipeline.query(self.target, "SELECT run, state FROM pvrelay_run"), [(1, "complete"), (2, "complete")])

    def test_goes_on_with_the_unfinished_run(self):
        exports = pipeline.generate(self.root / "e", "--modules", 20000)
        with managed.Managed(self.root, exports, self.target, **SMALL) as manager:
            manager.start()
            manager.until(lambda: pipeline.checkpoints(self.target) > 5, "checkpoints")
            manager.stop(self)
            self.assertEqual(set(manager.ended.values()), {6}, manager.text())
            self.assertIn("INTERRUPTED: run ", manager.text())
            self.assert_one_run("streaming")
            manager.start()
            manager.finish(self, 0)
        self.assert_one_run()
        pipeline.assert_accounted(self, self.target)

    def test_rejects(self):
        exports = pipeline.generate(self.root / "e", "--modules", 500, "--trap", "unknown-status=7")
        with managed.Managed(self.root, exports, self.target) as manager:
            manager.start()
            manager.finish(self, 3)
            self.assert_clean(manager)
        report = self.report(self.reports / "run-1")
        self.assertEqual((report["verdict"], report["outcome"], sum(r["count"] for r in report["rejects"])), ("rejects", 3, 7))

    def test_reject_limit(self):
        """It stops in the middle: the run stays unfinished, its report says why."""
        exports = pipeline.generate(self.root / "e", "--modules", 500, "--trap", "unknown-status=7")
        with managed.Managed(self.root, exports, self.target, max_rejects=3) as manager:
            manager.start()
            manager.finish(self, 2)
            self.assert_clean(manager)
        report = self.report(self.reports / "run-1")
        self.assertEqual((report["verdict"], report["error"]["name"], report["error"]["exit_code"]), ("incomplete", "REJECT_LIMIT", 2))
        self.assert_one_run("streaming")

    def test_validation_failure(self):
        """A row is changed between its commit and its proof."""
        exports = pipeline.generate(self.root / "e", "--modules", 2000)
        with managed.Managed(self.root, exports, self.target, **SMALL) as manager:
            manager.start_manager()
            manager.until(lambda: "READY=1" in manager.said, "READY=1")
            for name in ("reader", "transformer", "writer"):
                manager.start_stage(name)

            manager.until(lambda: pipeline.checkpoints(self.target) and
                          pipeline.query(self.target, "SELECT state FROM pvrelay_run") == [("proving",)], "all to be committed")
            with contextlib.closing(sqlite3.connect(self.target, timeout=30)) as db:
                db.execute("UPDATE el_modules SET string_number = 77 WHERE id = 3")
                db.commit()
            manager.start_stage("validator")
            manager.finish(self, 4)
            self.assert_clean(manager)
        report = self.report(self.reports / "run-1")
        self.assertEqual((report["verdict"], report["outcome"]), ("failed", 4))
        self.assertIn(("string_number", "77"), [(failure["column"], failure["stored"]) for failure in report["failures"]])

    def malformed(self, *options):
        exports = pipeline.generate(self.root / "e", "--preset", "production")
        text = exports[1].read_bytes()
        exports[1].write_bytes(text[:40000])
        with managed.Managed(self.root, exports, self.target) as manager:
            manager.start_manager(*options)
            manager.until(lambda: "READY=1" in manager.said, "READY=1")
            for name in managed.STAGES:
                manager.start_stage(name)
            manager.finish(self, 2)
            self.assert_clean(manager)
            log = manager.text()
        (folder,) = self.reports.iterdir()
        return exports, folder, log

    def test_malformed(self):
        """It never began, as far as the target knows: there is a report all the same."""
        exports, folder, log = self.malformed()
        self.assertRegex(folder.name, "^failed-[0-9a-f-]{36}$")
        report = self.report(folder)
        self.assertEqual(report["error"]["name"], "TRUNCATED")
        self.assertEqual(report["error"]["exit_code"], 2)
        self.assertTrue(report["error"]["text"].startswith(f"{exports[1]}, byte 40000 (line 1322): truncated: "), report["error"])
        self.assertEqual((report["verdict"], report["outcome"]), ("incomplete", None))
        self.assertEqual({key: report["run"][key] for key in ("number", "id", "kind", "state", "started_at")},
                         {"number": None, "id": folder.name[7:], "kind": "replay", "state": "failed", "started_at": None})
        self.assertEqual([(s["path"], s["size"], s["digest"]) for s in report["sources"]],
                         [(str(path), path.stat().st_size, None) for path in exports])
        self.assertEqual({check["state"] for check in report["checks"]}, {"open"})
        self.assertIsNone(report["undo"])
        self.assertIn(f"run {folder.name[7:]} stopped: TRUNCATED: {exports[1]}", log)

    def compare(self, folder, golden):
        text = (folder / "report.md").read_text().replace(str(self.root).replace("_", "\\_"), "ROOT")  # as prose has it
        text = test_report.normalised(text, self.root).replace(folder.name[7:], "UUID")
        path = pathlib.Path(__file__).resolve().parent / "golden" / golden
        if os.environ.get("PVRELAY_GOLDEN") == "write":
            path.write_text(text)
        self.assertEqual(text.splitlines(), path.read_text().splitlines())

    def test_malformed_in_english(self):
        self.compare(self.malformed()[1], "stopped.en.md")

    def test_malformed_in_french(self):
        self.compare(self.malformed("--lang", "fr")[1], "stopped.fr.md")

    def test_windows(self):
        """Killed at each of its windows: one run, one report, the exit code of the run."""
        exports = pipeline.generate(self.root / "e", "--modules", 300, "--trap", "unknown-status=2")
        for window in WINDOWS:
            with self.subTest(window=window):
                root = self.root / window.replace(".", "-")
                root.mkdir()
                self.target = root / "hub.db"
                marker = root / "struck"
                with managed.Managed(root, exports, self.target, {"PVRELAY_FAULT": window, "PVRELAY_FAULT_MARKER": str(marker)}) as manager:
                    manager.start()
                    manager.finish(self, 3)
                    self.assertTrue(marker.exists())
                    self.assertEqual(manager.starts["manager"], 2)
                    self.assert_clean(manager)
                self.assert_one_run()
                self.assertEqual([entry.name for entry in (root / "hub.db-reports").iterdir()], ["run-1"])
                self.assertEqual(self.report(root / "hub.db-reports" / "run-1")["outcome"], 3)

    def test_window_before_the_plan(self):
        """Killed when the run has failed, and the target does not know it."""
        (self.root / "a.json").write_text('[{"results": [{"id"')
        for window in WINDOWS:
            with self.subTest(window=window):
                root = self.root / window.replace(".", "-")
                root.mkdir()
                with managed.Managed(root, [self.root / "a.json"], root / "hub.db",
                                     {"PVRELAY_FAULT": window, "PVRELAY_FAULT_MARKER": str(root / "struck")}) as manager:
                    manager.start()
                    manager.finish(self, 2)
                    self.assertTrue((root / "struck").exists())
                    self.assert_clean(manager)
                self.assertEqual(len(list((root / "hub.db-reports").iterdir())), 1)

    def test_killed_at_random(self):
        """Any of the five, again and again: the dump is that of an undisturbed run, and there is one run with one report."""
        chance = random.Random(SEED)
        exports = pipeline.generate(self.root / "e", "--modules", 30000)
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        with managed.Managed(self.root, exports, self.target, **SMALL) as manager:
            manager.start()
            for _ in range(12):
                mark = pipeline.checkpoints(self.target) + chance.randrange(1, 6)
                manager.until(lambda: pipeline.checkpoints(self.target) >= mark or "manager" in manager.ended, "a checkpoint")
                for name in chance.sample(("manager", *managed.STAGES), chance.choice((1, 1, 2, 5))):
                    manager.kill(name)
            manager.finish(self, 0)
            self.assert_clean(manager)
            self.assertGreaterEqual(sum(manager.starts.values()), 10)
        self.assert_one_run()
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))
        self.assertEqual([entry.name for entry in self.reports.iterdir()], ["run-1"])

    def test_settled_from_the_books(self):
        """Writer and manager are killed when the run is complete, and nobody has said so yet: the target knows."""
        exports = pipeline.generate(self.root / "e", "--preset", "production")
        with managed.Managed(self.root, exports, self.target) as manager:
            manager.start_manager()
            manager.until(lambda: "READY=1" in manager.said, "READY=1")
            for name in ("reader", "transformer", "validator"):
                manager.start_stage(name)
            marker = self.root / "struck"
            manager.environment = {}
            os.environ.update(PVRELAY_FAULT="writer.complete-after-commit", PVRELAY_FAULT_MARKER=str(marker))
            try:
                manager.start_stage("writer")
            finally:
                del os.environ["PVRELAY_FAULT"], os.environ["PVRELAY_FAULT_MARKER"]
            writer = manager.processes["writer"]
            pipeline.wait_until(lambda: writer.poll() is not None, "the writer's death")
            self.assertEqual(writer.returncode, -signal.SIGKILL)
            self.assertFalse((manager.run_dir / "ended.json").exists())
            manager.processes["manager"].kill()
            manager.processes["manager"].wait()
            manager.start_manager()
            manager.until(lambda: (self.reports / "run-1" / "report.md").exists(), "the report")
            manager.finish(self, 0)
            self.assert_clean(manager)
        self.assert_one_run()

    def test_excludes_run(self):
        """Manager and `pvrelay run` of one run folder exclude each other."""
        exports = pipeline.generate(self.root / "e", "--preset", "production")
        with managed.Managed(self.root, exports, self.target) as manager:
            manager.start_manager()
            manager.until(lambda: "READY=1" in manager.said, "READY=1")
            said = self.command("run", *exports, "--target", self.target, "--run-dir", manager.run_dir, "--lock-wait", 0, expect=5)
            self.assertEqual(said, f"pvrelay: TARGET_LOCKED: {manager.run_dir}/run.lock: held by process"
                             f" {manager.processes['manager'].pid} (pvrelay manage --config {manager.config});"
                             f" `pvrelay top --run-dir {manager.run_dir}` shows it; wait until it ends, or stop it\n")
            manager.stop(self)
            self.assertEqual(manager.ended["manager"], 6)

    def test_wrong_configurations(self):
        config = self.root / "m.json"
        for settings, said in (
                ({"retries_through": 3}, f'CONFIG: {config}: "retries_through" is not for a managed run; see pvrelay-config(5)'),
                ({"restart": True, "run": "a4e19950-c73c-412c-be4d-699c9de1dde1"},
                 f'CONFIG: {config}: "restart" is not for a managed run; see pvrelay-config(5)'),
                ({"sources": {"spool": "nowhere"}}, f"CONFIG: {self.root}/nowhere: cannot use the spool: No such file or directory"),
                ({"sources": {"spool": "m.json"}}, f"CONFIG: {config}: the spool must be a folder")):
            with self.subTest(settings=settings):
                config.write_text(json.dumps({"target": "hub.db", "sources": ["a.json"], "run_dir": "r", **settings}))
                for check in ([], ["--check"]):
                    self.assertEqual(self.command("manage", "--config", config, *check, expect=1), f"pvrelay: {said}\n")
        self.assertEqual(self.command("manage", expect=1), "pvrelay: USAGE: --config FILE is missing; see `pvrelay help manage`\n")
        spool = self.root / "in"
        spool.mkdir()
        config.write_text(json.dumps({"target": "hub.db", "sources": {"spool": "in"}, "run_dir": "r"}))
        self.assertEqual(self.command("run", "--config", config, expect=1),
                         f'pvrelay: USAGE: {config}: its "sources" are a spool, which `pvrelay manage --config {config}` replays;'
                         " see `pvrelay help run`\n")
        self.assertEqual(self.command("manage", "--config", config, "--check", expect=0), "")
        self.assertEqual(sorted(path.name for path in spool.iterdir()), ["done", "failed", "work"])
        self.assertFalse(self.target.exists())


if __name__ == "__main__":
    unittest.main()
