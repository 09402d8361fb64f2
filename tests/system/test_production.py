# SPDX-License-Identifier: MIT
"""The seed's own figures: what the demo must leave in the HUB database, and that doing it again changes nothing."""

import json
import unittest

import pipeline


class Production(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--preset", "production")
        cls.target = cls.root / "hub.db"
        cls.first = pipeline.run(cls.exports, cls.target)
        cls.dump = pipeline.dump(cls.target)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def one(self, sql):
        return pipeline.query(self.target, sql)

    def test_rows(self):
        for table, rows in (("el_modules", 462), ("el_audits", 2), ("clients", 2), ("projects", 2), ("interventions", 2)):
            self.assertEqual(self.one(f"SELECT count(*) FROM {table}"), [(rows,)], table)

    def test_distribution(self):
        self.assertEqual(
            self.one("SELECT defect_type, severity_level, count(*) FROM el_modules GROUP BY 1, 2 ORDER BY 1"),
            [("dead_module", 3, 182), ("luminescence_inequality", 1, 135), ("microcrack", 2, 87), ("none", 0, 58)])

    def test_projects_and_tokens(self):
        self.assertEqual(
            self.one("SELECT a.project_name, a.audit_token, a.client_name, count(*) FROM el_audits a"
                     " JOIN el_modules m ON m.el_audit_id = a.id GROUP BY a.id ORDER BY 1"),
            [("JALIBAT", "a4e19950-c73c-412c-be4d-699c9de1dde1", "JALIBAT Industrie", 242),
             ("LES FORGES", "76e6eb36-8b49-4255-99d3-55fc1adfc1c9", "Arkolia Énergies", 220)])

    def test_null_text(self):
        self.assertEqual(self.one("SELECT count(*) FROM el_modules WHERE comment IS NULL"), [(459,)])
        self.assertEqual(self.one("SELECT count(*) FROM el_modules WHERE comment = 'null'"), [(0,)])
        self.assertEqual(
            self.one("SELECT count FROM pvrelay_finding WHERE kind = 'null_text' AND stream = 'modules' AND field = 'comment'"),
            [(459,)])
        self.assertIn("459", self.first.stdout)

    def test_configuration_byte_for_byte(self):
        audits = json.loads(self.exports[0].read_text())[0]["results"]
        stored = dict(self.one("SELECT audit_token, configuration_json FROM el_audits"))
        self.assertEqual(stored, {a["token"]: a["json_config"] for a in audits})
        self.assertTrue(any(len(text) > 10000 for text in stored.values()))

    def test_integrity(self):
        self.assertEqual(self.one("PRAGMA foreign_key_check"), [])
        # The validator tallied every record with the row that it was found to be; else each group would be looked into again.
        self.assertEqual(self.one("SELECT stream, sum(count), sum(rows = 0) FROM pvrelay_tally GROUP BY stream"),
                         [("audits", 2, 0), ("modules", 462, 0)])
        self.assertEqual(self.one("PRAGMA quick_check"), [("ok",)])
        self.assertEqual(self.one("SELECT state, outcome FROM pvrelay_run WHERE run = 1"), [("complete", 0)])
        pipeline.assert_accounted(self, self.target)

    def test_completion_rate(self):
        self.assertEqual(self.one("SELECT DISTINCT completion_rate FROM el_audits"), [(100.0,)])

    def test_placeholders(self):
        self.assertEqual(
            self.one("SELECT i.intervention_type, i.intervention_date, i.status, i.notes = 'pvrelay: placeholder for EL audit '"
                     " || a.audit_token, p.site_address = a.location, c.name = a.client_name FROM el_audits a"
                     " JOIN interventions i ON i.id = a.intervention_id JOIN projects p ON p.id = i.project_id"
                     " JOIN clients c ON c.id = p.client_id"),
            [("el", date, "scheduled", 1, 1, 1) for (date,) in self.one("SELECT substr(created_at, 1, 10) FROM el_audits ORDER BY id")])

    def test_zz_again_changes_nothing(self):
        again = pipeline.run(self.exports, self.target)
        pipeline.assert_same_dump(self, self.dump, pipeline.dump(self.target))
        self.assertEqual(
            self.one("SELECT sum(inserted), sum(updated), sum(unchanged), sum(rejected), sum(rows_inserted), sum(rows_updated)"
                     " FROM pvrelay_checkpoint WHERE run = 2"), [(0, 0, 464, 0, 0, 0)])
        self.assertIn("unchanged", again.stdout)


if __name__ == "__main__":
    unittest.main()
