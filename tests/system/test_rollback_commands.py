# SPDX-License-Identifier: MIT
"""checkpoint, checkpoints, rollback, seal: what they say, what they do, and how they end."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import shutil
import sqlite3
import subprocess
import unittest

import pipeline
from test_control import Fakes, pvrelay
from test_readme import settled

ROOT = pathlib.Path(__file__).resolve().parents[2]
OLD = "its books are older than undo: what was committed so far cannot be taken back; `pvrelay migrate --target TARGET` brings them up to date"
NONE = "no run of pvrelay has been here, and it has no tables for its books; `pvrelay migrate --target TARGET` makes them"

LISTED = """\
target TARGET

point 0, before any run:  empty

run 1  complete  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  63 of 63 records
  number  what          inserted updated  committed  proved    undo  names
       1  audits 1-3          12       0  HH:MM:SS   yes SIZE
       2  modules 1-60        63       0  HH:MM:SS   yes SIZE
       3  end of run           0       3  HH:MM:SS   yes SIZE  first, one

run 2  complete  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  67 of 67 records
  number  what          inserted updated  committed  proved    undo  names
       4  audits 1-3           0       4  HH:MM:SS   yes SIZE
       5  modules 1-64         6      13  HH:MM:SS   yes SIZE
       6  end of run           0       3  HH:MM:SS   yes SIZE
        = a-name-that-is-too-long-for-its-line

run 3  complete  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  91 of 91 records
  number  what          inserted updated  committed  proved    undo  names
       7  audits 1-4           4       3  HH:MM:SS   yes SIZE
       8  modules 1-87        24      11  HH:MM:SS   yes SIZE
       9  end of run           0       3  HH:MM:SS   yes SIZE

undo kept: SIZE for 9 checkpoints, N % of the database (SIZE)
reversible back to checkpoint 0, the state before any run
"""

TO_THREE = """\
Rollback of TARGET from checkpoint 9 to checkpoint 3
  run 3 is taken back as a whole: 3 checkpoints, 91 records
  run 2 is taken back as a whole: 3 checkpoints, 67 records
  names that go: a-name-that-is-too-long-for-its-line

  table             to delete   to restore
  el_audits                 1           11
  el_modules               27           24
  interventions             1            2
  projects                  2            0
  users                     3            0
  all                      34           37
"""

DONE_THREE = """
Done: the target stands at checkpoint 3.

  table               deleted     restored         left
  el_audits                 1           11            0
  el_modules               27           24            0
  interventions             1            2            0
  projects                  2            0            0
  users                     3            0            0
  all                      34           37            0

Checked: foreign keys, quick_check.
Replaying begins a new run.
"""


def write(target, sql):
    with contextlib.closing(sqlite3.connect(target)) as db:
        db.executescript(sql)


class Commands(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        """A target with three runs on top of each other; each test works on a copy."""
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.whole = cls.root / "whole.db"
        cls.exports = [pipeline.generate(cls.root / f"r{r}", "--modules", 60, "--modules-per-audit", 20, "--revision", r)
                       for r in range(3)]
        cls.dumps = {}
        made = pvrelay("migrate", "--target", cls.whole)
        assert made.returncode == 0, made.stderr
        cls.named = [pvrelay("checkpoint", "empty", "--target", cls.whole)]
        cls.dumps[0] = pipeline.dump(cls.whole)
        for run, (exports, names) in enumerate(zip(cls.exports, (("one", "first"), ("a-name-that-is-too-long-for-its-line",), ()))):
            pipeline.run(exports, cls.whole)
            cls.named += [pvrelay("checkpoint", name, "--target", cls.whole) for name in names]
            cls.dumps[3 * (run + 1)] = pipeline.dump(cls.whole)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def setUp(self):
        self.target = self.root / "t.db"
        shutil.copy(self.whole, self.target)

    def tearDown(self):
        self.assertFalse(list(self.root.glob("*.lock")), "a lock was left behind")
        for path in self.root.glob("t.db*"):  # looking at it read-only may leave -wal and -shm
            path.unlink()

    def say(self, *words):
        return pvrelay(*words, "--target", self.target)

    def expect(self, done, code, out, err=""):
        self.assertEqual((done.returncode, settled(done.stdout).replace(str(self.target), "TARGET"),
                          settled(done.stderr).replace(str(self.target), "TARGET")), (code, out, err))

    def stands_at(self, checkpoint):
        pipeline.assert_same_dump(self, pipeline.dump(self.target), self.dumps[checkpoint])


class Names(Commands):
    def test_what_is_said(self):
        self.assertEqual([(done.returncode, done.stdout, done.stderr) for done in self.named], [
            (0, "the state before any run is now also called empty\n", ""),
            (0, "checkpoint 3 of run 1 is now also called one\n", ""),
            (0, "checkpoint 3 of run 1 is now also called first\n", ""),
            (0, "checkpoint 6 of run 2 is now also called a-name-that-is-too-long-for-its-line\n", "")])

    def test_names_that_cannot_be(self):
        for name, text in (("one", "TARGET: one is taken: it is checkpoint 3"),
                           ("empty", "TARGET: empty is taken: it is the state before any run"),
                           ("12", "12: a name is no number: checkpoints have numbers already"),
                           ("last-validated", "last-validated: is no name: rollback --to has a meaning for it"),
                           ("a b", "a name has no white space and no control characters; this one has U+0020 at byte 2"),
                           ("x" * 65, "a name has 1 to 64 bytes, this one has 65"),
                           ("a=b", 'a=b: a name has no "="')):
            self.expect(self.say("checkpoint", name), 1, "", f"pvrelay: USAGE: {text}\n")

    def test_remove(self):
        write(self.target, "UPDATE pvrelay_name SET made_at = '2025-10-27 10:00:0' || checkpoint;")
        self.expect(self.say("checkpoint", "one", "--remove"), 0, "the name one is removed; what it stood for stays\n")
        self.expect(self.say("checkpoint", "one", "--remove"), 1, "",
                    "pvrelay: USAGE: TARGET: there is no point called one; there are "
                    "a-name-that-is-too-long-for-its-line, first, empty\n")
        self.stands_at(9)

    def test_a_database_without_books(self):
        """One that the HUB made: its books are made to name the state before the first run."""
        self.target.unlink()
        folder = self.root / "only-the-hub"
        folder.mkdir()
        shutil.copy(ROOT / "migrations/0001_unified_schema.sql", folder)
        self.assertEqual(self.say("migrate", "--migrations", folder).returncode, 0)
        shutil.rmtree(folder)
        for command in (("checkpoints",), ("rollback", "--to", "0"), ("seal",), ("checkpoint", "x", "--remove")):
            self.expect(self.say(*command), 5, "", f"pvrelay: TARGET_SCHEMA: TARGET: {NONE}\n")
        self.expect(self.say("checkpoint", "1x="), 1, "", 'pvrelay: USAGE: 1x=: a name has no "="\n')
        self.assertFalse(pipeline.query(self.target, "SELECT 1 FROM sqlite_master WHERE name = 'pvrelay_run'"))
        self.expect(self.say("checkpoint", "bare"), 0, "applied  0002_pvrelay.sql\napplied  0003_undo.sql\napplied  0004_validation.sql\n"
                    "applied  0005_deferred_index.sql\napplied  0006_foreign_change.sql\napplied  0007_mapping_text.sql\napplied  0008_rows_sum.sql\n"
                                                       "the state before any run is now also called bare\n")
        self.expect(self.say("checkpoints"), 0, "target TARGET\n\npoint 0, before any run:  bare\nno runs\n\nundo kept: none\n"
                                                "nothing is committed that could be taken back\n")
        pipeline.run(self.exports[0], self.target)
        self.assertEqual(self.say("rollback", "--to", "bare").returncode, 0)
        self.stands_at(0)
        self.assertEqual(self.say("checkpoint", "bare2").stdout, "the state before any run is now also called bare2\n")


class Checkpoints(Commands):
    def test_the_list(self):
        before = self.target.read_bytes()
        self.expect(self.say("checkpoints"), 0, LISTED)
        self.expect(self.say("checkpoints", "--run", "2"), 0,
                    LISTED[:LISTED.index("run 1 ")] + LISTED[LISTED.index("run 2 "):LISTED.index("run 3 ")] +
                    LISTED[LISTED.index("undo kept"):])
        self.expect(self.say("checkpoints", "--run", "9"), 1, "",
                    "pvrelay: USAGE: TARGET: there is no run 9; the newest is 3\n")
        self.assertEqual(self.target.read_bytes(), before)
        self.assertTrue(all(len(line) <= 80 for line in self.say("checkpoints").stdout.splitlines()[1:]))

    def test_states(self):
        """Taken back, sealed, not proved, with failures, over midnight."""
        self.assertEqual(self.say("rollback", "--to", "6").returncode, 0)
        self.assertEqual(self.say("seal", "--run", "1").returncode, 0)
        write(self.target, "UPDATE pvrelay_run SET started_at = '2025-10-26 23:59:59' WHERE run = 2;"
                           "UPDATE pvrelay_checkpoint SET validated = checkpoint - 4 WHERE run = 2;")
        self.expect(self.say("checkpoints"), 0, """\
target TARGET

point 0, before any run:  empty

run 1  complete  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  63 of 63 records
  sealed on YYYY-MM-DD HH:MM:SS: it cannot be taken back
  number  what          inserted updated  committed  proved    undo  names
       1  audits 1-3          12       0  HH:MM:SS   yes          -
       2  modules 1-60        63       0  HH:MM:SS   yes          -
       3  end of run           0       3  HH:MM:SS   yes          -  first, one

run 2  complete  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  67 of 67 records
  number  what          inserted updated  committed       proved    undo  names
       4  audits 1-3           0       4  MM-DD HH:MM:SS  no SIZE
       5  modules 1-64         6      13  MM-DD HH:MM:SS  yes SIZE
       6  end of run           0       3  MM-DD HH:MM:SS  FAILED SIZE
        = a-name-that-is-too-long-for-its-line

run 3  rolled back  YYYY-MM-DD HH:MM:SS  replay, mapping el-to-hub
  91 of 91 records
  rolled back on YYYY-MM-DD HH:MM:SS: what it wrote was taken back
  number  what          inserted updated  committed  proved    undo  names
       7  audits 1-4           4       3  HH:MM:SS   yes          -
       8  modules 1-87        24      11  HH:MM:SS   yes          -
       9  end of run           0       3  HH:MM:SS   yes          -

undo kept: SIZE for 3 checkpoints, N % of the database (SIZE)
reversible back to checkpoint 3

Taken back so far
  YYYY-MM-DD HH:MM:SS  from checkpoint 9 to 6, by the operator
    3 checkpoints: 28 rows deleted, 17 restored, 0 left
""")

    def test_many(self):
        """Of more than 20 checkpoints of a run only those that matter are shown."""
        config = self.root / "many.json"
        self.target.unlink()
        config.write_text(json.dumps({"target": str(self.target), "sources": [str(e) for e in self.exports[0]], "batch_bytes": 800}))
        done = pvrelay("run", "--config", config, "--progress", "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        ((count,),) = pipeline.query(self.target, "SELECT count(*) FROM pvrelay_checkpoint")
        self.assertGreater(count, 20)
        write(self.target, "UPDATE pvrelay_checkpoint SET validated = 0 WHERE checkpoint = 7;"
                           "INSERT INTO pvrelay_name VALUES ('seventh', 7, '2025-10-27 10:00:00'), ('ninth', 9, '2025-10-27 10:00:00');")

        def rows(*words):
            lines = self.say("checkpoints", *words).stdout.splitlines()
            return [line.split()[0] if "…" not in line else line.strip() for line in lines if line[:8].strip().isdigit() or "…" in line]

        self.assertEqual(rows(), ["1", "2", "3", "… 3 more (--all)", "7", "… 1 more (--all)", "9", f"… {count - 12} more (--all)",
                                  *map(str, range(count - 2, count + 1))])
        self.assertEqual(rows("--all"), [str(i) for i in range(1, count + 1)])
        (run,) = json.loads(self.say("checkpoints", "--json").stdout)["runs"]
        self.assertEqual(len(run["checkpoints"]), count)
        one = [c for c in run["checkpoints"] if c["stream"] == "modules" and c["records"] == 1]
        if one:
            self.assertIn(f" modules {one[0]['first_ordinal'] + 1} ", self.say("checkpoints", "--all").stdout)

    def test_json(self):
        self.assertEqual(self.say("rollback", "--to", "8").returncode, 0)
        listed = json.loads(self.say("checkpoints", "--json").stdout)
        self.assertEqual(sorted(listed), ["bytes", "names", "newest", "reversible_to", "rollbacks", "runs", "target",
                                          "undo_bytes", "undo_checkpoints"])
        self.assertEqual((listed["target"], listed["newest"], listed["reversible_to"], listed["undo_checkpoints"]),
                         (str(self.target), 8, 0, 8))
        self.assertEqual(listed["bytes"], self.target.stat().st_size)
        ((undo,),) = pipeline.query(self.target, "SELECT sum(length(changes)) FROM pvrelay_undo")
        self.assertEqual(listed["undo_bytes"], undo)
        self.assertEqual([(n["name"], n["checkpoint"]) for n in listed["names"]],
                         [("empty", 0), ("first", 3), ("one", 3), ("a-name-that-is-too-long-for-its-line", 6)])
        run = listed["runs"][2]
        self.assertEqual({key: run[key] for key in ("run", "kind", "state", "outcome", "mapping", "total", "records",
                                                    "rolled_back_at", "sealed_at", "ended_at")},
                         {"run": 3, "kind": "replay", "state": "streaming", "outcome": None, "mapping": "el-to-hub", "total": 91,
                          "records": 91, "rolled_back_at": None, "sealed_at": None, "ended_at": None})
        point = run["checkpoints"][0]
        self.assertEqual(point.pop("undo_bytes"),
                         pipeline.query(self.target, "SELECT length(changes) FROM pvrelay_undo WHERE checkpoint = 7")[0][0])
        self.assertRegex(point.pop("committed_at"), r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z")
        self.assertEqual(point, {"checkpoint": 7, "kind": "batch", "stream": "audits", "path": str(self.exports[2][0]), "source": 0,
                                 "first_ordinal": 0, "records": 4, "inserted": 2, "updated": 1, "unchanged": 1, "rejected": 0,
                                 "rows_inserted": 4, "rows_updated": 3,
                                 "rows": [{"table": table, "inserted": inserted, "updated": updated} for table, inserted, updated in
                                          pipeline.query(self.target, "SELECT table_name, inserted, updated FROM "
                                                         "pvrelay_checkpoint_rows WHERE checkpoint = 7 ORDER BY table_name")],
                                 "proved": "yes", "names": []})
        self.assertEqual(sum(row["inserted"] for row in point["rows"]), 4)
        (rollback,) = listed["rollbacks"]
        self.assertRegex(rollback.pop("made_at"), r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z")
        self.assertEqual(rollback, {"rollback": 1, "reason": "operator", "from": 9, "to": 8, "checkpoints": 1, "rows_deleted": 0,
                                    "rows_restored": 3, "rows_left": 0})
        only = json.loads(self.say("checkpoints", "--json", "--run", "2").stdout)
        self.assertEqual([r["run"] for r in only["runs"]], [2])


class Rollback(Commands):
    def test_whole_runs(self):
        self.expect(self.say("rollback", "--to", "one"), 0, TO_THREE + DONE_THREE)
        self.stands_at(3)
        self.expect(self.say("rollback", "--to", "3"), 0, "TARGET: nothing to take back: checkpoint 3 is the newest\n")
        self.expect(self.say("rollback", "--to", "3", "--dry-run"), 0,
                    "Dry run: nothing is changed.\nTARGET: nothing to take back: checkpoint 3 is the newest\n"
                    "Dry run: nothing was changed.\n")
        self.expect(self.say("rollback", "--to", "5"), 1, "",
                    "pvrelay: USAGE: TARGET: checkpoint 5 was taken back with run 2 on YYYY-MM-DD HH:MM:SS; see `pvrelay checkpoints --target TARGET`\n")
        self.assertEqual(self.say("rollback", "--to", "empty").returncode, 0)
        self.stands_at(0)
        self.expect(self.say("rollback", "--to", "0"), 0, "TARGET: nothing to take back: it is in the state before any run\n")
        self.expect(self.say("rollback", "--to", "start-of-run"), 1, "", "pvrelay: USAGE: TARGET: nothing was committed yet\n")

    def test_dry_run(self):
        before = pipeline.dump(self.target)
        books = "SELECT (SELECT count(*) FROM pvrelay_checkpoint), (SELECT count(*) FROM pvrelay_undo), (SELECT count(*) FROM" \
                " pvrelay_rollback), (SELECT group_concat(state) FROM pvrelay_run), (SELECT count(*) FROM pvrelay_name)"
        counted = pipeline.query(self.target, books)
        self.expect(self.say("rollback", "--to", "start-of-run=2", "--dry-run"), 0,
                    "Dry run: nothing is changed.\n" + TO_THREE +
                    DONE_THREE.replace("Done: the target stands", "This is what would be done: the target would stand")
                    .replace("Replaying begins", "Replaying would then begin") + "Dry run: nothing was changed.\n")
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
        self.assertEqual(pipeline.query(self.target, books), counted)

    def test_a_part_of_a_run(self):
        self.expect(self.say("rollback", "--to", "7"), 0, """\
Rollback of TARGET from checkpoint 9 to checkpoint 7
  run 3 is taken back in part: its last 2 checkpoints, 87 records

  table             to delete   to restore
  el_audits                 0            3
  el_modules               23           11
  users                     1            0
  all                      24           14

Done: the target stands at checkpoint 7.

  table               deleted     restored         left
  el_audits                 0            3            0
  el_modules               23           11            0
  users                     1            0            0
  all                      24           14            0

Checked: foreign keys, quick_check.
Replaying the same exports continues run 3 at record 5 of 91.
""")
        # All four audits are in: the first module is next.
        self.assertIn("\n  position: source 2, record 1, byte 0; ", self.say("status").stdout)
        done = pipeline.run(self.exports[2], self.target)
        self.assertTrue(done.stdout.startswith("Run 3, "))
        self.stands_at(9)
        self.expect(self.say("rollback", "--to", "last-validated"), 0,
                    "TARGET: nothing to take back: checkpoint 11 is the newest\n")
        out = self.say("rollback", "--to", "10").stdout
        self.assertTrue(out.endswith("Replaying the same exports continues run 3, all of whose records are in.\n"), out)
        self.assertEqual(self.say("status").stdout.count("\n  position: the end; "), 3)

    def test_json(self):
        done = self.say("rollback", "--to", "6", "--json", "--dry-run")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        result = told["result"]
        self.assertEqual(told, {"target": str(self.target), "dry_run": True, "keep_theirs": False, "plan": told["plan"],
                                "result": result, "conflicts_total": 0, "conflicts": []})
        tables = {table["table"]: table for table in result.pop("tables")}
        self.assertEqual(result, {"from": 9, "to": 6, "checkpoints": 3, "names": [], "continues": None, "position_records": 0,
                                  "runs": [{"run": 3, "whole": True, "checkpoints": 3, "records": 91}]})
        self.assertEqual(tables["el_audits"],
                         {"table": "el_audits", "deleted": 1, "restored": 5, "left": 0, "sequence_kept": False})
        told = json.loads(self.say("rollback", "--to", "9", "--json").stdout)
        self.assertEqual((told["plan"]["checkpoints"], told["result"]), (0, None))
        told = json.loads(self.say("rollback", "--to", "8", "--json").stdout)
        self.assertEqual((told["result"]["continues"], told["result"]["position_records"]), (3, 91))
        self.assertEqual(told["result"]["runs"], [{"run": 3, "whole": False, "checkpoints": 1, "records": 0}])

    def test_conflicts(self):
        """Each on a line, by kind; nothing is changed; what to do is said."""
        ((module, level),) = pipeline.query(self.target, "SELECT id, severity_level FROM el_modules WHERE id = 3")
        write(self.target, "UPDATE el_modules SET severity_level = 9 WHERE id = 3; DELETE FROM el_modules WHERE id = 4;"
                           "INSERT INTO users (id, email, name) VALUES (99, 'mine@x.invalid', 'mine');"
                           "INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date)"
                           " VALUES (1, 99, 'el', '2025-10-27');")
        write(self.target, "UPDATE el_modules SET updated_at = (SELECT updated_at FROM el_modules WHERE id = 2) WHERE id = 3;")
        before = pipeline.dump(self.target)
        ((theirs,),) = pipeline.query(self.target, "SELECT max(id) FROM interventions")
        self.assertEqual(self.say("rollback", "--to", "0", "--json", "--dry-run").returncode, 5)
        done = self.say("rollback", "--to", "0")
        told = json.loads(self.say("rollback", "--to", "0", "--json").stdout)
        self.assertIsNone(told["result"])
        lines = "".join(f"  {c['kind']}: {c['table']} {c['key']}" + (f", column {c['column']}" if c["column"] else "") +
                        f": ours {c['ours']}, theirs {c['theirs']}\n"
                        for kind in ("changed", "deleted", "child") for c in told["conflicts"] if c["kind"] == kind)
        self.assertIn(f"  changed: el_modules id=3, column severity_level: ours {level}, theirs 9\n", lines)
        self.assertIn("  deleted: el_modules id=4: ours a row, theirs no row\n", lines)
        self.assertIn(f"  child: interventions id={theirs}, column project_id: ours projects id=1, theirs 1\n", lines)
        total = told["conflicts_total"]
        self.assertEqual(total, len(told["conflicts"]))
        shown = done.stdout[done.stdout.index("\nIn the way:\n"):]
        for sentence in ("a row that is to be taken back was changed since\n", "a row that is to be taken back was deleted since\n",
                         "a row that is not of these runs refers to one that is to be taken back\n"):
            self.assertEqual(shown.count(sentence), 1)
            shown = shown.replace(sentence, "")
        self.assertEqual(shown, "\nIn the way:\n" + lines)
        self.assertEqual((done.returncode, done.stderr),
                         (5, f"pvrelay: CONFLICT: {self.target}: {total} conflicts, nothing was changed; settle them, or take back the "
                             "rest with --keep-theirs\n"))
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
        kept = self.say("rollback", "--to", "0", "--keep-theirs")
        self.assertEqual((kept.returncode, kept.stderr), (0, ""))
        self.assertIn("\nDone: the target stands at the state before any run, but for what is left.\n", kept.stdout)
        self.assertIn("\nLeft as it is:\n", kept.stdout)
        self.assertIn("\nId counters that stay where they are, so that no id is used twice: ", kept.stdout)
        self.assertEqual(pipeline.query(self.target, "SELECT severity_level FROM el_modules"), [(9,)])
        self.assertEqual(pipeline.query(self.target, "PRAGMA foreign_key_check"), [])

    def test_one_conflict(self):
        write(self.target, "DELETE FROM el_modules WHERE id = (SELECT max(id) FROM el_modules);")
        done = self.say("rollback", "--to", "6")
        self.assertEqual((done.returncode, done.stderr),
                         (5, f"pvrelay: CONFLICT: {self.target}: 1 conflict, nothing was changed; settle it, or take back the rest with "
                             "--keep-theirs\n"))

    def test_an_unfinished_run_that_committed_nothing(self):
        write(self.target, "INSERT INTO pvrelay_run (id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
                           " VALUES ('x', 'streaming', 'm', '0', 'null', '0', '2025-10-27 10:00:00');")
        self.expect(self.say("rollback", "--to", "start-of-run"), 0, """\
Rollback of TARGET to checkpoint 9, where its rows stand already
  run 4 is given up; it has committed nothing

Done: the target stands at checkpoint 9.
Checked: foreign keys, quick_check.
Replaying begins a new run.
""")
        self.expect(self.say("rollback", "--to", "start-of-run=4"), 1, "",
                    "pvrelay: USAGE: TARGET: run 4 was taken back already, on YYYY-MM-DD HH:MM:SS\n")

    def test_a_run_that_was_given_up_goes_on(self):
        write(self.target, "UPDATE pvrelay_run SET state = 'abandoned' WHERE run = 3;")
        self.assertTrue(self.say("rollback", "--to", "9").stdout.endswith(
            "Replaying the same exports continues run 3, all of whose records are in.\n"))
        self.assertTrue(pipeline.run(self.exports[2], self.target).stdout.startswith("Run 3, "))
        self.stands_at(9)

    def test_points_that_are_not(self):
        for word, text in (("10", "there is no checkpoint 10; there are some from 1 to 9, see `pvrelay checkpoints --target TARGET`"),
                           ("two", "there is no point called two; there are a-name-that-is-too-long-for-its-line, first, one, empty"),
                           ("start-of-run=4", "there is no run 4; there are 3, 2, 1")):
            write(self.target, "UPDATE pvrelay_name SET made_at = '2025-10-27 10:00:0' || checkpoint;")
            self.expect(self.say("rollback", "--to", word), 1, "", f"pvrelay: USAGE: TARGET: {text}\n")
        self.expect(self.say("rollback", "--to", "start-of-run=x"), 1, "",
                    "pvrelay: USAGE: start-of-run=x: a run's number is expected, see `pvrelay status --target TARGET`\n")

    def test_a_writer_has_it(self):
        """Whoever writes to the books takes the writer's lock, by whatever name the target is called."""
        (self.root / "link.db").symlink_to(self.target)
        lock = pathlib.Path(f"{self.target}-pvrelay.lock")
        with open(lock, "w") as held:
            held.write(f"{2 ** 30}\n")  # which no process can be
            held.flush()
            fcntl.flock(held, fcntl.LOCK_EX)
            for command in (("rollback", "--to", "0"), ("checkpoint", "x"), ("checkpoint", "one", "--remove"), ("seal",)):
                for name in (self.target, self.root / "link.db"):
                    done = pvrelay(*command, "--target", name)
                    self.assertEqual((done.returncode, done.stdout, done.stderr),
                                     (5, "", f"pvrelay: TARGET_LOCKED: {self.target}: held by process {2 ** 30}; wait until it ends, "
                                             "or stop it\n"))
            self.expect(self.say("checkpoints"), 0, LISTED)
        lock.unlink()
        (self.root / "link.db").unlink()
        self.stands_at(9)

    def test_progress_on_a_terminal(self):
        master, slave = pty.openpty()
        done = subprocess.run([str(pipeline.BIN / "pvrelay"), "rollback", "--target", str(self.target), "--to", "0"],
                              stdout=subprocess.PIPE, stderr=slave, text=True, timeout=pipeline.DEADLINE)
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(master, 4096):
                shown += chunk
        os.close(master)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(shown, rb"\A(\r\x1b\[K\d of 9 checkpoints are taken back \([\d.]+ %\))*\r\x1b\[K\Z|\A\Z")
        self.assertTrue(shown, "the first step is shown at once")

    def test_the_rejects_of_a_run_that_was_taken_back(self):
        exports = pipeline.generate(self.root / "spoiled", "--modules", 60, "--modules-per-audit", 20, "--revision", 3, "--trap",
                                    "unknown-status=2")
        pipeline.run(exports, self.target, expect=3)
        self.assertEqual(self.say("rejects").stdout.splitlines()[-1], "2 rejects")
        self.assertEqual(self.say("rollback", "--to", "start-of-run").returncode, 0)
        self.stands_at(9)
        self.assertEqual(self.say("rejects").stdout, "no rejects; 2 settled since (--all lists them)\n")
        self.assertEqual(self.say("rejects", "--run", "4").stdout.splitlines()[-1],
                         "2 rejects; the run was rolled back: retry-rejects leaves them alone")
        self.assertEqual(self.say("retry-rejects").stdout,
                         f"{self.target}: nothing to try again: no complete run has rejects that are open\n")

    def test_too_many_rejects(self):
        """A run that takes itself back says so, and where its rejects are."""
        exports = pipeline.generate(self.root / "spoiled", "--modules", 60, "--modules-per-audit", 20, "--revision", 3, "--trap",
                                    "unknown-status=2")
        done = pipeline.run(exports, self.target, "--max-rejects", 1, "--on-reject-limit", "rollback", expect=2)
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertEqual(lines[-3:-1], ["pvrelay: run 4 was taken back: the target is as it was before it",
                                        f"pvrelay: its rejects are kept: pvrelay rejects --target {self.target} --run 4"])
        self.assertRegex(lines[-1], r"\Apvrelay: REJECT_LIMIT: 2 records are rejected, 1 allowed; ")
        self.stands_at(9)
        self.assertEqual(self.say("rejects", "--run", "4").stdout.splitlines()[-1],
                         "2 rejects; the run was rolled back: retry-rejects leaves them alone")
        self.assertIn("\nrun 4  rolled back  ", self.say("status").stdout)
        listed = self.say("checkpoints").stdout
        self.assertRegex(settled(listed), r"\n  YYYY-MM-DD HH:MM:SS  from checkpoint 1\d to 9, because of too many rejects\n")

    def test_a_retry_that_is_taken_back(self):
        """Its rejects are as before, and that is what is said."""
        exports = pipeline.generate(self.root / "spoiled", "--modules", 60, "--modules-per-audit", 20, "--revision", 3, "--trap",
                                    "unknown-status=2")
        pipeline.run(exports, self.target, expect=3)
        with pipeline.folder() as root:
            fakes = Fakes(root)
            (fakes.bin / "bookkeeping.sql").write_text("")
            (fakes.bin / "rows.sql").write_text("UPDATE pvrelay_run SET kind = 'retry', state = 'abandoned', rolled_back_at = ended_at"
                                                " WHERE run = 5;")
            fakes.script("writer", "finish 4; exit 4")
            done = pvrelay("retry-rejects", "--target", self.target, "--run-dir", root / "r", "--progress", "none",
                           environment=fakes.environment)
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertTrue(done.stdout.startswith("Run 5, a retry of rejects, mapping el-to-hub, into "), done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1],
                         "Rejects tried again: 2; the retry was taken back, so all of them are rejected as before")
        self.assertEqual(self.say("rejects").stdout.splitlines()[-1], "2 rejects")


class Seal(Commands):
    def test_seal(self):
        ((first,), (rest,)) = pipeline.query(self.target, "SELECT count(*) FROM pvrelay_undo u JOIN pvrelay_checkpoint c USING"
                                             " (checkpoint) GROUP BY c.run > 1 ORDER BY c.run > 1")
        self.assertEqual((first, rest), (3, 6))
        free = "the room is free inside the file, for later runs; SQLite's VACUUM gives it to the disk\n"
        self.expect(self.say("seal", "--run", "1"), 0,
                    "sealed: run 1 and all before it\n"
                    f"given up: undo of 3 checkpoints, SIZE; what they wrote can no longer be taken back\n{free}")
        self.expect(self.say("seal", "--run", "1"), 0, "run 1 and all before it: nothing to give up, no undo is kept of them\n")
        self.expect(self.say("rollback", "--to", "2"), 5, "",
                    "pvrelay: IRREVERSIBLE: TARGET: checkpoint 3 of run 1 cannot be taken back: the run was sealed at YYYY-MM-DD "
                    "HH:MM:SS; it is the earliest point that can be reached\n")
        self.assertEqual(self.say("rollback", "--to", "6").returncode, 0)
        self.stands_at(6)
        self.expect(self.say("seal"), 0, "sealed: run 3 and all before it\n"
                    f"given up: undo of 3 checkpoints, SIZE; what they wrote can no longer be taken back\n{free}")
        self.assertIn("not reversible: checkpoint 6, the newest, keeps no undo\n", self.say("checkpoints").stdout)
        self.assertIn("\n  sealed on ", self.say("status").stdout)
        self.expect(self.say("seal", "--run", "7"), 1, "", "pvrelay: USAGE: TARGET: there is no run 7; there are 2, 1\n")
        self.stands_at(6)

    def test_an_unfinished_run(self):
        self.assertEqual(self.say("rollback", "--to", "8").returncode, 0)
        self.expect(self.say("seal"), 1, "",
                    "pvrelay: UNFINISHED: TARGET: run 3 is not finished; finish it with the command that began it, or seal only the runs "
                    "before it (--run)\n")
        self.assertEqual(self.say("seal", "--run", "2").returncode, 0)

    def test_nothing_to_seal(self):
        self.target.unlink()
        self.assertEqual(self.say("migrate").returncode, 0)
        self.expect(self.say("seal"), 0, "nothing to seal: there has been no run\n")


class WithoutUndo(Commands):
    def test_undo_off(self):
        """A target that can be thrown away: nothing is kept, all else works."""
        target = self.root / "throw.db"
        pipeline.run(self.exports[0], target, "--undo", "off")
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_undo"), [(0,)])
        listed = pvrelay("checkpoints", "--target", target).stdout
        self.assertIn("\nundo kept: none\nnot reversible: checkpoint 3, the newest, keeps no undo\n", listed)
        done = pvrelay("rollback", "--to", "0", "--target", target)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (5, "", f"pvrelay: IRREVERSIBLE: {target}: checkpoint 3 of run 1 cannot be taken back: no undo was kept with it "
                                 "(--undo off); it is the earliest point that can be reached\n"))
        (run,) = json.loads(pvrelay("checkpoints", "--target", target, "--json").stdout)["runs"]
        self.assertEqual([point["undo_bytes"] for point in run["checkpoints"]], [None] * 3)
        self.assertEqual(sum(row["inserted"] for point in run["checkpoints"] for row in point["rows"]), 75)


if __name__ == "__main__":
    unittest.main()
