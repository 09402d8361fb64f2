# SPDX-License-Identifier: MIT
"""A target made by the HUB's own migrations: its tables, triggers, views, migrations and rows stay as they are."""

import contextlib
import pathlib
import re
import sqlite3
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]

OWN_ROWS = """
INSERT INTO users (id, email, name, role, updated_at) VALUES (7, 'anne@hub.example', 'Anne', 'admin', '2024-01-01 00:00:00');
INSERT INTO clients (id, name, contact_email, updated_at) VALUES (5, 'JALIBAT Industrie', 'contact@jalibat.example', '2024-01-02 00:00:00');
INSERT INTO projects (id, client_id, name, site_address, updated_at) VALUES (3, 5, 'Toiture nord', 'Pau', '2024-01-03 00:00:00');
INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date, updated_at)
    VALUES (9, 3, 7, 'el', '2024-02-01', '2024-01-04 00:00:00');
INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, string_count, modules_per_string, total_modules,
                       completion_rate, updated_at) VALUES (4, 9, 'hub-1', 'Toiture nord', 'JALIBAT Industrie', 1, 2, 2, 33, '2024-01-05 00:00:00');
INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string, defect_type, updated_at)
    VALUES (6, 4, 'hub-1', 'S1-1', 1, 1, 'none', '2024-01-06 00:00:00');
"""


class HubTarget(unittest.TestCase):
    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.target = self.root / "hub.db"
        schema = (ROOT / "migrations/0001_unified_schema.sql").read_text()
        # As another hand would have made it: no index that only we need, other names, books of its own.
        schema = re.sub(r"(?m)^CREATE INDEX [^;]*ON (clients|users|projects|interventions)[^;]*;", "", schema)
        schema = re.sub(r"CREATE TRIGGER (\w+)", r"CREATE TRIGGER hub_\1", schema)
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,"
                             " applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);"
                             "INSERT INTO d1_migrations (name) VALUES ('0001_core_schema.sql'), ('0002_el_module.sql');")
            db.executescript(schema)
            db.executescript(OWN_ROWS)

    def schema(self):
        return pipeline.query(self.target, "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%pvrelay%' ORDER BY 1, 2")

    def own_rows(self):
        rows = [("users", 7), ("clients", 5), ("projects", 3), ("interventions", 9), ("el_audits", 4), ("el_modules", 6)]
        return [pipeline.query(self.target, f"SELECT * FROM {table} WHERE id = ?", number) for table, number in rows]

    def test_unchanged(self):
        exports = pipeline.generate(self.root / "exports", "--preset", "production")
        schema, own = self.schema(), self.own_rows()
        self.assertTrue(any(name.startswith("hub_") for _, name, _ in schema))
        pipeline.run(exports, self.target)
        self.assertEqual(self.schema(), schema)
        self.assertEqual(self.own_rows(), own)
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM el_modules WHERE audit_token <> 'hub-1'"), [(462,)])
        # The client is there already, under its own number: no second one is made.
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM clients WHERE name = 'JALIBAT Industrie'"), [(1,)])
        self.assertEqual(pipeline.query(self.target, "SELECT client_id FROM projects WHERE name = 'JALIBAT'"), [(5,)])
        # Legacy times arrive as they were: the HUB's triggers did not fire for our writes.
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM el_modules WHERE updated_at LIKE '2026%'"), [(0,)])
        self.assertEqual(pipeline.query(self.target, "SELECT name FROM d1_migrations ORDER BY id"),
                         [("0001_core_schema.sql",), ("0002_el_module.sql",), ("0002_pvrelay.sql",), ("0003_undo.sql",)])
        before = pipeline.dump(self.target)
        pipeline.run(exports, self.target)
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))

    def test_real_intervention_in_the_placeholders_place(self):
        """Somebody replaces our placeholder by a real intervention: a replay leaves it there."""
        exports = pipeline.generate(self.root / "exports", "--preset", "production")
        pipeline.run(exports, self.target)
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("UPDATE el_audits SET intervention_id = 9 WHERE project_name = 'JALIBAT'")
            db.execute("DELETE FROM interventions WHERE notes LIKE '%a4e19950-%'")
            db.commit()
        done = pipeline.run(exports, self.target)
        self.assertEqual(pipeline.query(self.target, "SELECT intervention_id FROM el_audits WHERE project_name = 'JALIBAT'"), [(9,)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM interventions"), [(2,)])
        self.assertIn("replaced_parent", done.stdout)

    def test_missing_column(self):
        exports = pipeline.generate(self.root / "exports", "--preset", "production")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript("DROP VIEW v_el_audit_statistics; DROP VIEW v_dashboard_overview;"
                             "ALTER TABLE el_modules DROP COLUMN physical_row;")
        before = self.schema()
        done = pipeline.run(exports, self.target, expect=5)
        self.assertIn("pvrelay: TARGET_SCHEMA: ", done.stderr)
        self.assertIn("el_modules.physical_row", done.stderr)
        self.assertEqual(self.schema(), before)


if __name__ == "__main__":
    unittest.main()
