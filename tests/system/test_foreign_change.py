# SPDX-License-Identifier: MIT
"""What others changed in the target: rejected, kept or overwritten, over any number of runs, and never in silence."""

import contextlib
import json
import sqlite3
import subprocess
import unittest

import pipeline

AUDIT = {"id": 1, "token": "11111111-aaaa-4bbb-8ccc-000000000001", "project_name": "Toit Nord", "client_name": "Soleil SARL",
         "location": "1 rue du Test", "string_count": 2, "modules_per_string": 20, "total_modules": 40, "plan_file": None,
         "status": "created", "created_at": "2025-10-27 09:43:12", "updated_at": "2025-10-27 10:02:00", "json_config": None}
HIS = "UPDATE el_modules SET comment = 'seen on site', defect_type = 'none' WHERE id = 2"
MODULE_2 = "SELECT comment, defect_type, severity_level FROM el_modules WHERE id = 2"
REJECT = ("el_modules id=2 was changed since pvrelay stored it: defect_type was stored as 'dead_module', is 'none', the export says 'dead_module'; "
          "comment was stored as NULL, is 'seen on site', the export says NULL")
TOLD = ("el_modules id=2 was changed since pvrelay stored it: defect_type is 'none', the export says 'dead_module'; "
        "comment is 'seen on site', the export says NULL")


def modules(count=40, **changed):
    """Records of modules; changed: m2={"status": "ok"} changes the one with id 2."""
    made = [{"id": n, "audit_token": AUDIT["token"], "module_id": f"S1-{n}", "string_number": (n - 1) // 20 + 1,
             "position_in_string": (n - 1) % 20 + 1, "status": "dead" if n % 2 == 0 else "ok", "comment": None, "technician_id": None,
             "created_at": "2025-10-27 09:43:12", "updated_at": "2025-10-27 09:50:00", "physical_row": 1, "physical_col": n}
            for n in range(1, count + 1)]
    for name, values in changed.items():
        made[int(name[1:]) - 1].update(values)
    return made


class ForeignChange(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(pipeline.folder())
        self.target = self.folder / "hub.db"
        self.exports = self.export("first")

    def export(self, name, audit=None, **changed):
        """An audit and its modules, as wrangler prints them."""
        paths = []
        for what, records in (("audits", [{**AUDIT, **(audit or {})}]), ("modules", modules(**changed))):
            path = self.folder / f"{name}-{what}.json"
            path.write_text(json.dumps([{"results": records, "success": True, "meta": {"duration": 0.5}}]))
            paths.append(path)
        return paths

    def run_on(self, exports=None, *options, expect=0):
        return pipeline.run(exports or self.exports, self.target, *options, expect=expect)

    def say(self, *words, expect=0):
        done = subprocess.run([pipeline.BIN / "pvrelay", *map(str, words)], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def retry(self, *options, expect=0):
        return self.say("retry-rejects", "--target", self.target, "--progress", "none", *options, expect=expect)

    def verify(self, exports=None, *options, expect=0):
        return self.say("verify", *(exports or self.exports), "--target", self.target, "--progress", "none", *options, expect=expect)

    def roll_back(self, to):
        return self.say("rollback", "--target", self.target, "--to", to)

    def hub(self, sql):
        """Somebody works in the HUB, whose triggers fire."""
        with contextlib.closing(sqlite3.connect(self.target)) as db, db:
            db.executescript(sql)

    def ask(self, sql):
        return pipeline.query(self.target, sql)

    def rejects(self, run):
        return self.ask(f"SELECT stream, ordinal, reason, field, detail FROM pvrelay_reject WHERE run = {run} ORDER BY reject")

    def findings(self, run, kind):
        return self.ask(f"SELECT field, count, detail FROM pvrelay_finding WHERE run = {run} AND kind = '{kind}' ORDER BY field")

    def quiet_hub(self):
        """A HUB without triggers, where a row changes only where it is told to."""
        for (name,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            self.hub(f'DROP TRIGGER "{name}"')

    def test_default_rejects_and_retry_settles(self):
        self.run_on()
        self.quiet_hub()
        self.hub(HIS)
        before = pipeline.dump(self.target)
        done = self.run_on(expect=3)
        self.assertIn("changed_in_target", done.stdout)
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
        self.assertEqual(self.rejects(2), [("modules", 1, "changed_in_target", "status", REJECT)])
        self.assertEqual(self.ask("SELECT kind FROM pvrelay_proof_finding WHERE kind = 'extra_row'"), [])
        pipeline.assert_accounted(self, self.target)
        self.verify()
        self.retry(expect=3)  # nothing has been decided: rejected anew
        self.assertEqual(self.rejects(3)[0][2:4], ("changed_in_target", "status"))
        self.retry("--on-foreign-change", "overwrite")
        self.assertEqual(self.ask(MODULE_2), [(None, "dead_module", 3)])
        self.assertEqual(self.findings(4, "foreign_overwritten"), [("el_modules id=2", 1, TOLD)])
        self.run_on()
        self.assertEqual(self.ask("SELECT sum(updated), sum(unchanged) FROM pvrelay_checkpoint WHERE run = 5"), [(0, 41)])
        self.verify()

    def test_a_reject_tells_what_was_last_stored(self):
        """All three of them differ: from the newest commit that wrote the column, and only while undo knows."""
        self.run_on()
        self.run_on(self.export("second", m2={"status": "ok"}))  # defect_type "none"; the comment stays as inserted
        self.quiet_hub()
        self.hub("UPDATE el_modules SET comment = 'seen on site', defect_type = 'microcracks' WHERE id = 2")
        third = self.export("third", m2={"status": "dead", "comment": "ours"})
        self.run_on(third, expect=3)
        told = ("el_modules id=2 was changed since pvrelay stored it: defect_type was stored as 'none', is 'microcracks', "
                "the export says 'dead_module'; severity_level was stored as 0, is 0, the export says 3; "
                "comment was stored as NULL, is 'seen on site', the export says 'ours'")
        self.assertEqual(self.rejects(3)[0][4], told)
        # Of the first commit nothing is known any more.
        self.hub("DELETE FROM pvrelay_undo WHERE checkpoint IN (SELECT checkpoint FROM pvrelay_checkpoint WHERE run = 1)")
        self.run_on(third, expect=3)
        self.assertEqual(self.rejects(4)[0][4], told.replace("comment was stored as NULL, is", "comment is"))
        self.say("seal", "--target", self.target)
        self.run_on(third, expect=3)
        self.assertNotIn("was stored as", self.rejects(5)[0][4])
        self.assertIn("defect_type is 'microcracks', the export says 'dead_module'; severity_level is 0", self.rejects(5)[0][4])

    def test_only_the_first_rejects_of_a_run_tell_it(self):
        exports = [self.exports[0], self.folder / "many.json"]
        exports[1].write_text(json.dumps([{"results": modules(150), "success": True, "meta": {"duration": 0.5}}]))
        self.run_on(exports)
        self.quiet_hub()
        self.hub("UPDATE el_modules SET comment = 'x'")
        self.run_on(exports, expect=3)
        self.assertEqual(self.ask("SELECT detail LIKE '%was stored as%', count(*) FROM pvrelay_reject GROUP BY 1"), [(0, 50), (1, 100)])

    def test_rejected_rows_are_no_extra_rows(self):
        self.run_on()
        self.quiet_hub()
        self.hub("UPDATE el_modules SET severity_level = 1 WHERE id <= 5")
        self.run_on(None, "--extra", "fail", expect=3)
        self.verify(None, "--extra", "fail")
        self.hub("INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) "
                 "SELECT el_audit_id, audit_token, 'S9-9', 9, 9 FROM el_modules WHERE id = 1")
        self.verify(None, "--extra", "fail", expect=4)

    def test_keep(self):
        self.run_on()
        self.quiet_hub()
        self.hub(HIS)
        before = pipeline.dump(self.target)
        for run in (2, 3):
            done = self.run_on(None, "--on-foreign-change", "keep", "--report", self.folder / "report", "--lang", "fr")
            pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
            self.assertEqual(self.findings(run, "foreign_kept"), [("el_modules id=2", 1, TOLD)])
            self.assertEqual(self.ask(f"SELECT sum(updated), sum(unchanged), min(validated), max(validated) FROM pvrelay_checkpoint WHERE run = {run}"),
                             [(0, 41, 1, 1)])
            self.assertIn("elle reste telle quelle", done.stdout)
        self.assertIn("elle reste telle quelle", (self.folder / "report" / "report.md").read_text())
        self.assertIn("elle reste telle quelle", self.verify(None, "--lang", "fr", "--report", self.folder / "verified")
                      + (self.folder / "verified" / "report.md").read_text())
        # It is theirs; but what the export says of other rows still counts.
        self.hub("UPDATE el_modules SET comment = 'another' WHERE id = 3")
        self.verify(expect=4)
        # As it was stored again: ours again, and the proof is strict.
        self.hub("UPDATE el_modules SET comment = NULL, defect_type = 'dead_module' WHERE id IN (2, 3); UPDATE el_modules SET defect_type = 'none' WHERE id = 3")
        second = self.export("second", m2={"status": "ok"})
        self.run_on(second)
        self.assertEqual(self.ask(MODULE_2), [(None, "none", 0)])
        self.verify(second)
        self.hub("UPDATE el_modules SET comment = 'x' WHERE id = 2")
        self.verify(second, expect=4)

    def test_retry_keeps(self):
        self.run_on()
        self.quiet_hub()
        self.hub(HIS)
        self.run_on(expect=3)
        self.retry("--on-foreign-change", "keep")
        self.assertEqual(self.ask(MODULE_2)[0][0], "seen on site")
        self.verify()

    def test_overwrite(self):
        self.run_on()
        content = pipeline.dump(self.target)
        self.quiet_hub()
        self.hub(HIS)
        self.run_on(None, "--on-foreign-change", "overwrite")
        pipeline.assert_same_dump(self, content, pipeline.dump(self.target))
        self.assertEqual(self.findings(2, "foreign_overwritten"), [("el_modules id=2", 1, TOLD)])
        self.verify()

    def test_what_the_export_changed_is_no_foreign_change(self):
        for undo in ("on", "off"):
            with self.subTest(undo=undo):
                self.target = self.folder / f"{undo}.db"
                self.run_on(None, "--undo", undo)
                self.run_on(self.export("second", audit={"status": "completed"}, m2={"status": "ok", "comment": "new"}, m7={"physical_col": 70}),
                            "--undo", undo)
                self.run_on(self.export("third", m2={"status": "dead"}), "--undo", undo)
                self.run_on(None, "--undo", undo)
                self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_reject"), [(0,)])
                self.assertEqual(self.ask(MODULE_2), [(None, "dead_module", 3)])
                # Of what cannot be rolled back one digest a row is enough.
                self.assertEqual(self.ask("SELECT max(n) FROM (SELECT count(*) AS n FROM pvrelay_row_digest GROUP BY table_name, page)"),
                                 [(3 if undo == "on" else 1,)])
                if undo == "on":
                    self.say("seal", "--target", self.target)
                    self.run_on()
                    self.assertEqual(self.ask("SELECT count(*), count(DISTINCT table_name) FROM pvrelay_row_digest"), [(3, 3)])
                self.quiet_hub()
                self.hub(HIS)
                self.run_on(None, "--undo", undo, expect=3)
                self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_reject"), [(1,)])

    def test_rows_never_written_by_us(self):
        self.run_on()
        self.hub("INSERT INTO el_audits (audit_token, project_name, client_name, location, string_count, modules_per_string, total_modules) "
                 "VALUES ('theirs', 'P', 'C', 'L', 1, 1, 1)")
        before = pipeline.dump(self.target)
        theirs = self.export("theirs", audit={"token": "theirs"})[:1]
        self.run_on(theirs, expect=3)
        ((stream, ordinal, reason, field, detail),) = self.rejects(2)
        self.assertEqual((stream, ordinal, reason, field), ("audits", 0, "changed_in_target", "project_name"))
        self.assertTrue(detail.startswith("el_audits id=2 was not written by pvrelay: project_name is 'P', the export says 'Toit Nord'; "), detail)
        # Nothing of the record stays, neither a client nor an intervention.
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))

    def test_intervention_that_the_hub_completed(self):
        self.run_on()
        self.hub("UPDATE interventions SET status = 'completed', intervention_date = '2025-11-02', duration_hours = 3.5")
        self.run_on(expect=3)
        ((_, _, reason, field, detail),) = self.rejects(2)
        self.assertEqual((reason, field), ("changed_in_target", "created_at"))
        self.assertIn("intervention_date was stored as '2025-10-27', is '2025-11-02', the export says '2025-10-27'; "
                      "status was stored as 'scheduled', is 'completed', the export says 'scheduled'", detail)
        self.run_on(None, "--on-foreign-change", "keep")
        self.assertEqual(self.ask("SELECT status, intervention_date, duration_hours FROM interventions"), [("completed", "2025-11-02", 3.5)])
        self.verify()

    def test_rollback_in_part_and_in_full(self):
        """Digests go back with the rows: what comes after is as if the rolled back had not been."""
        self.run_on()
        first = pipeline.dump(self.target)
        second = self.export("second", audit={"status": "completed"}, m2={"status": "ok"}, m3={"comment": "new"})
        self.run_on(second)
        self.roll_back("start-of-run=2")
        pipeline.assert_same_dump(self, first, pipeline.dump(self.target))
        self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_row_digest WHERE checkpoint NOT IN "
                                  "(SELECT checkpoint FROM pvrelay_checkpoint JOIN pvrelay_run USING (run) WHERE rolled_back_at IS NULL)"), [(0,)])
        self.run_on()
        self.assertEqual(self.ask("SELECT sum(updated), sum(unchanged) FROM pvrelay_checkpoint WHERE run = 3"), [(0, 41)])
        self.run_on(second)
        end = pipeline.dump(self.target)
        self.roll_back("start-of-run=4")
        self.quiet_hub()
        self.hub(HIS)
        self.run_on(second, expect=3)  # his, as of run 1
        self.assertEqual([r[1:3] for r in self.rejects(5)], [(1, "changed_in_target")])
        self.roll_back("start-of-run=5")
        self.run_on(second, "--on-foreign-change", "overwrite")
        self.assertEqual(end["el_modules"], pipeline.dump(self.target)["el_modules"])
        self.roll_back("start-of-run=6")
        self.assertEqual(self.ask("SELECT comment, defect_type FROM el_modules WHERE id = 2"), [("seen on site", "none")])
        self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_foreign_change"), [(0,)])
        # All of it gone, and made again under the same ids: ours from the first.
        self.hub("UPDATE el_modules SET comment = NULL, defect_type = 'dead_module' WHERE id = 2")
        self.roll_back("0")
        self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_row_digest"), [(0,)])
        self.run_on(second)
        self.run_on()
        self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_reject WHERE run > 6"), [(0,)])

    def test_killed_writer_and_a_run_on_top(self):
        """Whatever is killed, the digests are those of the rows."""
        exports = self.export("many", **{f"m{n}": {"comment": f"note {n}"} for n in range(1, 40, 3)})
        for window in ("writer.before-commit", "writer.after-commit", "writer.finish-before-commit"):
            with self.subTest(window=window):
                self.target = self.folder / f"{window}.db"
                config = self.folder / "c.json"
                config.write_text(json.dumps({"batch_bytes": 2000, "window_bytes": 65536}))
                self.run_on(self.exports, "--config", config)
                pipeline.run(exports, self.target, "--config", config, expect=None,
                             environment={"PVRELAY_FAULT": window + "@1", "PVRELAY_FAULT_MARKER": str(self.folder / f"{window}.marker")})
                self.assertTrue((self.folder / f"{window}.marker").exists())
                self.run_on(exports, "--config", config)
                self.run_on(self.exports, "--config", config)
                self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_reject"), [(0,)])
                self.quiet_hub()
                self.hub("UPDATE el_modules SET physical_col = 99 WHERE id IN (1, 17)")
                self.run_on(self.exports, "--config", config, expect=3)
                self.assertEqual(self.ask("SELECT count(*) FROM pvrelay_reject"), [(2,)])

    def test_mapping_that_covers_another_column(self):
        """A column that the mapping has come to since is ours where nobody has put anything."""
        mapping = json.loads((pipeline.BIN.parents[2] / "mappings" / "el-to-hub.json").read_text())
        less = self.folder / "less.json"
        module = next(row for row in mapping["streams"][1]["rows"] if row["name"] == "module")
        fields = mapping["streams"][1]["fields"]
        gone = module["columns"].pop("comment")
        fields["comment"] = {"type": "text", "nullable": True, "ignore": "not yet"}
        less.write_text(json.dumps(mapping))
        commented = self.export("commented", m2={"comment": "theirs"}, m3={"comment": "ours"})
        self.run_on(commented, "--mapping", less)
        self.assertEqual(gone, {"copy": "comment"})
        self.quiet_hub()
        self.hub("UPDATE el_modules SET comment = 'of the HUB' WHERE id = 2")
        self.run_on(commented, expect=3)
        self.assertEqual([r[1] for r in self.rejects(2)], [1])
        self.assertEqual(self.ask("SELECT comment FROM el_modules WHERE id IN (2, 3) ORDER BY id"), [("of the HUB",), ("ours",)])

    def test_setting_in_the_configuration(self):
        config = self.folder / "c.json"
        config.write_text(json.dumps({"on_foreign_change": "keep"}))
        self.run_on()
        self.quiet_hub()
        self.hub(HIS)
        self.run_on(None, "--config", config)
        self.assertEqual(self.ask(MODULE_2)[0][0], "seen on site")
        self.run_on(None, "--config", config, "--on-foreign-change", "reject", expect=3)
        config.write_text(json.dumps({"on_foreign_change": "ask"}))
        done = self.run_on(None, "--config", config, expect=1)
        self.assertIn('"on_foreign_change": expected "reject", "keep" or "overwrite"', done.stderr)

    def test_damaged_digests_are_said_to_be(self):
        self.run_on()
        self.hub("UPDATE pvrelay_row_digest SET digests = substr(digests, 1, length(digests) - 1) WHERE table_name = 'el_modules'")
        done = self.run_on(self.export("second", m2={"status": "ok"}), expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("table el_modules, is damaged", done.stderr)


if __name__ == "__main__":
    unittest.main()
