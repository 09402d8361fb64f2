# SPDX-License-Identifier: MIT
"""What a run must survive or refuse clearly: liars on its sockets, changed and truncated exports, locked and full targets, other runs."""

import contextlib
import os
import pathlib
import re
import sqlite3
import subprocess
import unittest

import pipeline


class Enemies(pipeline.TargetTest):
    def small_batches(self, exports, **settings):
        return pipeline.write_config(self.root / "small.json", exports, self.target, self.run_dir, batch_bytes=65536,
                                     window_bytes=262144, resend_ms=200, **settings)

    def start(self, exports, *options):
        return subprocess.Popen(pipeline.run_command(exports, self.target, "--run-dir", self.run_dir, *options),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def refused(self, exit_code, line, exports, *options):
        done = pipeline.run(exports, self.target, "--run-dir", self.run_dir, *options, expect=exit_code)
        self.assertEqual(done.stderr.strip().splitlines()[-1], line)
        return done

    def stop_early(self, exports, *options):
        """A run that is interrupted after its third checkpoint."""
        process = self.start(exports, *options)
        pipeline.wait_until(lambda: process.poll() is not None or pipeline.checkpoints(self.target) >= 3, "three checkpoints")
        process.terminate()
        process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 6)

    def test_liars(self):
        """Garbage, lies and theft on the sockets change nothing but the time it takes."""
        exports = self.exports("--modules", 30000)
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        process = self.start(exports, "--config", self.small_batches(exports))
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) >= 2, "two checkpoints")
        for seed in range(3):
            told = subprocess.run([pipeline.BIN / "pvrelay-hostile", self.run_dir, str(seed)], capture_output=True, text=True,
                                  timeout=pipeline.DEADLINE)
            if process.poll() is None:
                self.assertEqual(told.returncode, 0, told.stderr)
        _, errors = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 0, errors)
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))
        pipeline.assert_accounted(self, self.target)

    def test_changed_export(self):
        """An export that changed between two continuations is refused; --restart begins anew."""
        exports = self.exports("--modules", 30000)
        config = self.small_batches(exports)
        self.stop_early(exports, "--config", config)
        before = pipeline.dump(self.target)
        modules = exports[1]
        text = modules.read_bytes()
        modules.write_bytes(text.replace(b'"status": "ok"', b'"status": "OK"', 1))
        done = pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir, expect=2)
        self.assertIn("pvrelay: SOURCE_CHANGED: ", done.stderr)
        self.assertIn("modules.json", done.stderr)
        self.assertIn("--restart", done.stderr)
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
        pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir, "--restart", expect=3)
        self.assertEqual(pipeline.query(self.target, "SELECT state FROM pvrelay_run ORDER BY run"), [("abandoned",), ("complete",)])
        self.assertEqual(pipeline.query(self.target, "SELECT reason, field, detail FROM pvrelay_reject"),
                         [("unknown_value", "status", "'OK' (did you mean ok?)")])

    def test_other_run_unfinished(self):
        exports = self.exports("--modules", 30000)
        self.stop_early(exports, "--config", self.small_batches(exports))
        other = pipeline.generate(self.root / "other", "--preset", "production")
        done = pipeline.run(other, self.target, "--run-dir", self.run_dir, expect=2)
        self.assertIn("pvrelay: SOURCE_CHANGED: ", done.stderr)
        self.assertIn("--restart", done.stderr)

    def test_continued_otherwise(self):
        """A run is continued with the mapping and the meaning of "null" that it was begun with, or not at all."""
        exports = self.exports("--modules", 30000)
        config = self.small_batches(exports)
        mapping = self.root / "mapping.json"
        mapping.write_text((pipeline.BIN.parent / "share/pvrelay/mappings/el-to-hub.json").read_text())
        self.stop_early(exports, "--config", config, "--mapping", mapping)
        before = pipeline.dump(self.target)
        self.refused(1, f"pvrelay: UNFINISHED: {self.target}: run 1 was begun with --null-text auto; go on with that, or give"
                        " --restart", exports, "--config", config, "--mapping", mapping, "--null-text", "keep")
        mapping.write_text(mapping.read_text().replace('"dead": 3', '"dead": 2'))
        self.refused(1, f"pvrelay: UNFINISHED: {self.target}: run 1 was begun with another content of the mapping {mapping};"
                        " put it back, or give --restart to begin anew", exports, "--config", config, "--mapping", mapping)
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))

    def test_killed_retry(self):
        """`retry-rejects` killed in the middle and given again: it continues, and every reject is tried once."""
        exports = self.exports("--modules", 4000, "--trap", "unknown-status=2000")
        pipeline.run(exports, self.target, "--run-dir", self.run_dir, expect=3)
        mapping = self.root / "mapping.json"
        text = (pipeline.BIN.parent / "share/pvrelay/mappings/el-to-hub.json").read_text()
        for status in ("OK", " ok", "broken", "microcrack"):
            text = text.replace('"ok": "none"', f'"{status}": "none", "ok": "none"', 1)
            text = text.replace('"ok": 0,', f'"{status}": 0, "ok": 0,', 1)
        mapping.write_text(text)
        settings = self.root / "settings.json"
        settings.write_text('{"batch_bytes": 8192, "window_bytes": 65536}')
        command = [pipeline.BIN / "pvrelay", "retry-rejects", "--target", self.target, "--run-dir", self.run_dir, "--mapping",
                   mapping, "--config", settings, "--progress", "none"]
        done = pipeline.checkpoints(self.target)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pipeline.wait_until(lambda: process.poll() is not None or pipeline.checkpoints(self.target) > done + 2, "the retry to begin")
        process.kill()
        process.wait()
        self.assertEqual(pipeline.query(self.target, "SELECT kind, state FROM pvrelay_run WHERE run = 2"), [("retry", "streaming")])
        again = subprocess.run(command, capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(pipeline.query(self.target, "SELECT kind, state, outcome FROM pvrelay_run WHERE run = 2"),
                         [("retry", "complete", 0)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*), sum(retried_by = 2) FROM pvrelay_reject"), [(2000, 2000)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM el_modules"), [(4000,)])

    def by_hand(self, settings, exports=None):
        """The four daemons, each with settings of its own; returns their exit codes and what they said."""
        exports = exports or self.exports("--preset", "production")
        processes = {}
        for program in ("writer", "validator", "transformer", "reader"):
            config = pipeline.write_config(self.root / f"{program}.json", exports, self.target, self.run_dir,
                                           **settings.get(program, {}))
            processes[program] = subprocess.Popen([pipeline.BIN / f"pvrelay-{program}", "--config", config],
                                                  stderr=subprocess.PIPE, text=True, errors="backslashreplace")
        said = {program: process.communicate(timeout=pipeline.DEADLINE)[1] for program, process in processes.items()}
        return {program: process.returncode for program, process in processes.items()}, said

    def test_plan_that_cannot_be_told(self):
        """An export that lies, behind a link, in a folder whose name is not UTF-8: the run fails, and says so once."""
        folder = os.fsencode(self.root) + b"/caf\xe9"
        os.mkdir(folder)
        exports = []
        for export in self.exports("--preset", "production"):
            os.rename(export, folder + b"/" + os.fsencode(export.name))
            os.symlink(folder + b"/" + os.fsencode(export.name), self.root / f"link-{export.name}")
            exports.append(self.root / f"link-{export.name}")
        codes, said = self.by_hand({}, exports)
        self.assertEqual(codes, {"writer": 1, "validator": 1, "transformer": 1, "reader": 1}, said)
        self.assertEqual(said["reader"].count("not valid UTF-8; rename the file or its folder"), 1, said["reader"])

    def test_stages_with_different_mappings(self):
        """Started by hand with two mappings, the daemons do not mix them: all end with exit 1, and one says why."""
        mapping = self.root / "mapping.json"
        mapping.write_text((pipeline.BIN.parent / "share/pvrelay/mappings/el-to-hub.json").read_text().replace('"dead": 3', '"dead": 2'))
        for program in ("reader", "transformer"):
            with self.subTest(program=program):
                codes, said = self.by_hand({program: {"mapping": str(mapping)}})
                self.assertEqual(codes, {"writer": 1, "validator": 1, "transformer": 1, "reader": 1}, said)
                self.assertIn("MAPPING: ", said["writer"])
                self.assertIn("is not the mapping that the reader works with; start all stages with the same one", said["writer"])
                if self.target.exists():
                    self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM el_modules"), [(0,)])
                    self.target.unlink()

    def test_a_run_that_is_over(self):
        """Daemons started by hand for a run that is complete hear so, and leave with its outcome."""
        run = "b81d52b2-50a5-4a17-8d42-6a6a62b7b8a1"
        for _ in range(2):
            codes, said = self.by_hand(dict.fromkeys(("reader", "transformer", "writer", "validator"), {"run": run}))
            self.assertEqual(set(codes.values()), {0}, said)
        self.assertEqual(pipeline.query(self.target, "SELECT id, state FROM pvrelay_run"), [(run, "complete")])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pvrelay_checkpoint"), [(3,)])

    def test_truncated_100_mb(self):
        """A 100 MB export cut in the middle of a record: nothing is written, and the place is told."""
        exports = self.exports("--modules", 260000)
        size = exports[1].stat().st_size
        self.assertGreater(size, 100_000_000)
        os.truncate(exports[1], 100_000_000)
        done = pipeline.run(exports, self.target, "--run-dir", self.run_dir, expect=2)
        self.assertRegex(done.stderr, r"pvrelay: TRUNCATED: .*/modules\.json, byte 100000000 \(line \d+\): truncated: the file ends inside"
                                      r" record \d+ of result set 1.*; export it again")
        tables = pipeline.query(self.target, "SELECT name FROM sqlite_master WHERE name IN ('el_modules', 'pvrelay_run')") \
            if self.target.exists() else []
        for (table,) in tables:
            self.assertEqual(pipeline.query(self.target, f"SELECT count(*) FROM {table}"), [(0,)], table)

    def test_locked_target(self):
        """Another program holds the database: exit 5 and it says so; afterwards the same command works."""
        exports = self.exports("--preset", "production")
        pipeline.run(exports, self.target)
        with contextlib.closing(sqlite3.connect(self.target, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            done = pipeline.run(exports, self.target, "--run-dir", self.run_dir, "--lock-wait", 1, expect=5)
            self.assertIn("pvrelay: TARGET_LOCKED: ", done.stderr)
            db.execute("ROLLBACK")
        pipeline.run(exports, self.target, "--run-dir", self.run_dir)

    def test_two_runs_at_once(self):
        exports = self.exports("--modules", 30000)
        process = self.start(exports, "--config", self.small_batches(exports))
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) >= 1, "a checkpoint")
        os.kill(process.pid, 19)  # SIGSTOP: it must not finish meanwhile
        try:
            writer = pipeline.pid_of(self.run_dir, "writer")
            os.kill(writer, 19)
            done = pipeline.run(exports, self.target, "--run-dir", self.root / "e", "--lock-wait", 1, expect=5)
            self.assertIn(f"pvrelay: TARGET_LOCKED: ", done.stderr)
            self.assertIn(str(writer), done.stderr)
        finally:
            os.kill(writer, 18)
            os.kill(process.pid, 18)
        process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 0)

    def test_full_disk(self):
        """The disk fills up: exit 5, what is committed stays, and with room again the same command ends like any other."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small disk")
        exports = self.exports("--modules", 20000)
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        disk = self.root / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", disk], capture_output=True).returncode != 0:
            self.skipTest("cannot mount a tmpfs here")
        try:
            self.target = disk / "hub.db"
            config = pipeline.write_config(self.root / "full.json", exports, self.target, self.run_dir, batch_bytes=262144)
            done = pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir, expect=5)
            self.assertIn("pvrelay: TARGET_FULL: ", done.stderr)
            subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
            pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir)
            pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_reject_limit(self):
        exports = self.exports("--modules", 20000, "--trap", "unknown-status=9")
        config = self.small_batches(exports)
        done = pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir, "--max-rejects", 4, expect=2)
        told = re.fullmatch(r"(pvrelay: [\d,]+ of 20,\d+ records are committed, (\d) of them rejected; [\d,]+ validated\n)"
                            r"pvrelay: REJECT_LIMIT: (\d) records are rejected, 4 allowed; look at them with `\S*(pvrelay rejects "
                            rf"--target {re.escape(str(self.target))})`, then give the same command with a higher --max-rejects to go on\n",
                            done.stderr)
        self.assertTrue(told, done.stderr)
        self.assertEqual(told[2], told[3])
        self.assertEqual(subprocess.run([pipeline.BIN / "pvrelay", *told[4].split()[1:]], check=True, text=True,
                                        capture_output=True).stdout.splitlines()[-1], f"{told[3]} rejects")
        self.assertEqual(pipeline.query(self.target, "SELECT state FROM pvrelay_run"), [("streaming",)])
        pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir, expect=3)
        self.assertEqual(pipeline.query(self.target, "SELECT state, outcome FROM pvrelay_run"), [("complete", 3)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pvrelay_reject"), [(9,)])

    def test_corrupted_row(self):
        """A cell is changed behind the pipeline's back before the validator comes: exit 4, and the cell is named."""
        exports = self.exports("--preset", "production")
        config = pipeline.write_config(self.root / "run.json", exports, self.target, self.run_dir)
        programs = ("reader", "transformer", "writer")
        processes = [subprocess.Popen([pipeline.BIN / f"pvrelay-{p}", "--config", config], stderr=subprocess.DEVNULL)
                     for p in programs]
        pipeline.wait_until(lambda: self.target.exists() and pipeline.checkpoints(self.target) and
                            pipeline.query(self.target, "SELECT state FROM pvrelay_run") == [("proving",)], "all to be committed")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("UPDATE el_modules SET string_number = string_number + 1 WHERE module_identifier = 'S2-3'")
            db.execute("DELETE FROM el_modules WHERE module_identifier = 'S2-4'")
            db.commit()
        processes.append(subprocess.Popen([pipeline.BIN / "pvrelay-validator", "--config", config]))
        for process in processes:
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 4)
        found = pipeline.query(self.target, "SELECT kind, stream, table_name, row_key, column_name, expected, stored"
                                            " FROM pvrelay_failure WHERE checkpoint IS NOT NULL ORDER BY failure")
        token = "a4e19950-c73c-412c-be4d-699c9de1dde1"
        self.assertIn(("mismatch", "modules", "el_modules", f"audit_token='{token}', module_id='S2-3'", "string_number", "2", "3"),
                      found)
        self.assertEqual([f[:4] for f in found if f[0] == "missing"],
                         [("missing", "modules", "el_modules", f"audit_token='{token}', module_id='S2-4'")])
        self.assertEqual([f[4] for f in found], ["string_number", "updated_at", ""], found)  # updated_at: the target's own trigger
        self.assertEqual(pipeline.query(self.target, "SELECT state, outcome FROM pvrelay_run"), [("complete", 4)])


if __name__ == "__main__":
    unittest.main()
