# SPDX-License-Identifier: MIT
"""A target made by the HUB's own migrations: its tables, triggers, views, migrations and rows stay as they are."""

import contextlib
import os
import pathlib
import random
import re
import sqlite3
import subprocess
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
                         [("0001_core_schema.sql",), ("0002_el_module.sql",), ("0002_pvrelay.sql",), ("0003_undo.sql",), ("0004_validation.sql",), ("0005_deferred_index.sql",),
                          ("0006_foreign_change.sql",), ("0007_mapping_text.sql",), ("0008_rows_sum.sql",)])
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
        # The HUB's trigger has dated the audit anew: that is a change by others, too.
        pipeline.run(exports, self.target, expect=3)
        ((reason, detail),) = pipeline.query(self.target, "SELECT reason, detail FROM pvrelay_reject")
        self.assertEqual(reason, "changed_in_target")
        self.assertRegex(detail, r"\Ael_audits id=\d+ was changed since pvrelay stored it: updated_at was stored as '[^';]*', is '[^';]*', the export says '[^';]*'\Z")
        self.assert_replaced(pipeline.run(exports, self.target, "--on-foreign-change", "keep"))

    def test_real_intervention_where_the_hub_has_no_triggers(self):
        """Then nothing else of the audit changes with it, and a replay goes through as it is."""
        exports = pipeline.generate(self.root / "exports", "--preset", "production")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f'DROP TRIGGER "{name}"')
            db.commit()
        pipeline.run(exports, self.target)
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("UPDATE el_audits SET intervention_id = 9 WHERE project_name = 'JALIBAT'")
            db.execute("DELETE FROM interventions WHERE notes LIKE '%a4e19950-%'")
            db.commit()
        before = pipeline.dump(self.target)
        self.assert_replaced(pipeline.run(exports, self.target))
        pipeline.assert_same_dump(self, before, pipeline.dump(self.target))
        # What the export changes of the audit since is its own: the audit stays with the real intervention.
        edited, changed = re.subn(r'("location"\s*:\s*)(null|"[^"]*")', r'\1"elsewhere"', exports[0].read_text())
        self.assertGreater(changed, 0)
        exports[0].write_text(edited)
        self.assert_replaced(pipeline.run(exports, self.target))
        self.assertEqual(pipeline.query(self.target, "SELECT location FROM el_audits WHERE project_name = 'JALIBAT'"), [("elsewhere",)])

    def assert_replaced(self, done):
        self.assertEqual(pipeline.query(self.target, "SELECT intervention_id FROM el_audits WHERE project_name = 'JALIBAT'"), [(9,)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM interventions"), [(2,)])
        self.assertIn("replaced_parent", done.stdout)

    def test_damage_that_was_there(self):
        """A reference to nothing is the content's failure, a NULL where none may be the file's: both are in the one verdict of the whole."""
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'role                TEXT NOT NULL',"
                             " 'role                TEXT') WHERE name = 'users'")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript("PRAGMA foreign_keys = OFF; UPDATE users SET role = NULL WHERE id = 7; UPDATE projects SET client_id = 99 WHERE id = 3;"
                             "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'role                TEXT',"
                             " 'role                TEXT NOT NULL') WHERE name = 'users'")
        exports = pipeline.generate(self.root / "exports", "--modules", 6000)  # enough for indexes to be put off
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript("DELETE FROM el_modules")
        pipeline.run(exports, self.target, expect=4)
        self.assertEqual(pipeline.query(self.target, "SELECT kind, table_name, row_key, column_name, expected, stored FROM pvrelay_failure"),
                         [("whole", "projects", "id=3", "client_id", "a row of clients", "refers to none"),
                          ("whole", "", "", "quick_check", "ok", "NULL value in users.role")])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pvrelay_deferred_index"), [(0,)])

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


# What the HUB has besides: a journal that its own triggers keep, and a view across it.
JOURNAL = """
CREATE TABLE hub_journal (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, row_id INTEGER, at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TRIGGER hub_journal_module AFTER INSERT ON el_modules BEGIN INSERT INTO hub_journal (what, row_id) VALUES ('module', NEW.id); END;
CREATE TRIGGER hub_journal_audit BEFORE UPDATE ON el_audits BEGIN INSERT INTO hub_journal (what, row_id) VALUES ('audit', OLD.id); END;
CREATE TRIGGER hub_journal_client AFTER DELETE ON clients BEGIN INSERT INTO hub_journal (what, row_id) VALUES ('client', OLD.id); END;
CREATE TRIGGER hub_session INSTEAD OF INSERT ON v_hub_journal BEGIN INSERT INTO hub_journal (what) VALUES (NEW.what); END;
"""
JOURNAL_VIEW = "CREATE VIEW v_hub_journal AS SELECT what, count(*) AS times FROM hub_journal GROUP BY what;"

OWN_TABLES = ("users", "clients", "projects", "interventions", "el_audits", "el_modules", "el_collaborative_sessions", "pvserv_measurements",
              "iv_measurements", "thermal_measurements", "isolation_tests", "visual_inspections", "post_incident_expertise", "hub_journal")
OWN_COUNT = 1000
SEED = int(os.environ.get("PVRELAY_SEED", "1"))
WORDS = ("Énergies du Sud 1", "Arkéa Parcs 1", "a.lefèvre", "Zoé Béranger", "Équipe 3", "Toiture", "", " n°7 ", "null", "été\nhiver", "🔥")


def own_value(chance, column, kind, references, row):
    """A value that another hand could have put there."""
    if column in references:
        return chance.choice(references[column])
    if column in ("email", "audit_token", "session_token"):
        return f"hub-{row}@own.example"
    if column == "intervention_type":
        return chance.choice(("el", "iv", "thermique", "isolation", "visuels", "expertise"))
    if column == "status":
        return chance.choice(("scheduled", "in_progress", "completed", "cancelled"))
    if kind in ("DATE", "DATETIME"):
        return f"20{chance.randrange(10, 25)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}" + (" 01:02:03" if kind == "DATETIME" else "")
    if kind == "INTEGER":
        return chance.randrange(-5, 1 << 40)
    if kind == "REAL":
        return chance.choice((chance.random() * 1e6, 0.1, -1.5e300, 33.0))
    return chance.choice(WORDS) + (str(row) if column == "module_identifier" else "")


def fill(db, chance):
    """1,000 rows over all tables, parents first; returns how many each has."""
    foreign = {"client_id": "clients", "project_id": "projects", "technician_id": "users", "intervention_id": "interventions", "el_audit_id": "el_audits"}
    ids = {}
    counts = [OWN_COUNT // len(OWN_TABLES) + (number < OWN_COUNT % len(OWN_TABLES)) for number in range(len(OWN_TABLES))]
    for table, count in zip(OWN_TABLES, counts):
        columns = [(name, kind) for _, name, kind, _, _, key in db.execute(f"PRAGMA table_info({table})") if not key]
        ids[table] = []
        for row in range(count):
            references = {column: ids[parent] for column, parent in foreign.items() if parent in ids}
            values = {name: own_value(chance, name, kind, references, f"{table}-{row}") for name, kind in columns}
            if table in ("el_modules", "el_collaborative_sessions"):
                values["audit_token"] = db.execute("SELECT audit_token FROM el_audits WHERE id = ?", (values["el_audit_id"],)).fetchone()[0]
            names = ", ".join(values)
            cursor = db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", list(values.values()))
            ids[table].append(cursor.lastrowid)
    # Gaps, as after years of use.
    db.execute("DELETE FROM el_modules WHERE id IN (SELECT id FROM el_modules ORDER BY id LIMIT 3)")
    db.execute("UPDATE sqlite_sequence SET seq = seq + 17 WHERE name IN ('clients', 'el_modules')")
    for _ in range(3):
        db.execute("INSERT INTO hub_journal (what, at) VALUES ('spare', '2020-02-02 02:02:02')")
    db.commit()


class ThousandRows(unittest.TestCase):
    """A HUB in use: 1,000 rows of its own, triggers that write, views. Run, re-run, a later edition, rollback."""

    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.target = self.root / "hub.db"
        schema = re.sub(r"CREATE TRIGGER (\w+)", r"CREATE TRIGGER hub_\1", (ROOT / "migrations/0001_unified_schema.sql").read_text())
        triggers = schema.index("CREATE TRIGGER")
        # Filled before there are triggers, so that updated_at says what it says.
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.executescript(schema[:triggers] + JOURNAL.split("CREATE TRIGGER")[0])
            fill(db, random.Random(SEED))
            db.executescript(JOURNAL_VIEW + schema[triggers:] + JOURNAL[JOURNAL.index("CREATE TRIGGER"):])
            db.executescript("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,"
                             " applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);"
                             "INSERT INTO d1_migrations (name) VALUES ('0001_hub.sql');")
        self.before = pipeline.dump(self.target)
        self.schema = self.hub_schema()
        self.own = {table: {row[0] for row in self.before[table]} for table in OWN_TABLES}
        self.views = self.own_views()

    def hub_schema(self):
        return pipeline.query(self.target, "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%pvrelay%' ORDER BY 1, 2")

    def own_views(self):
        """What the HUB's views say of its own rows."""
        return [pipeline.query(self.target, sql) for sql in (
            f"SELECT * FROM v_el_audit_statistics WHERE audit_id IN ({', '.join(map(str, self.own['el_audits']))}) ORDER BY audit_id",
            "SELECT * FROM v_hub_journal ORDER BY what")]

    def assert_own_rows(self):
        now = pipeline.dump(self.target)
        for table in OWN_TABLES:
            self.assertEqual([row for row in now[table] if row[0] in self.own[table]], self.before[table], f"own rows of {table}")
        self.assertEqual(now["hub_journal"], self.before["hub_journal"], "a trigger fired")
        self.assertEqual(self.hub_schema(), self.schema)
        self.assertEqual(self.own_views(), self.views)
        return now

    def test_as_before(self):
        self.assertEqual(sum(len(rows) for table, rows in self.before.items() if table not in ("sqlite_sequence", "indexes")), OWN_COUNT)
        size = ("--audits", 12, "--modules-per-audit", 40)
        first, second = (pipeline.generate(self.root / f"e{n}", *size, "--revision", n) for n in (0, 1))
        pipeline.run(first, self.target)
        one = self.assert_own_rows()
        self.assertGreater(len(one["el_modules"]), len(self.before["el_modules"]) + 400)
        # Some of the export's clients and technicians are the HUB's already.
        self.assertGreater(len(pipeline.query(self.target, "SELECT p.id FROM projects p JOIN el_audits a ON a.project_name = p.name JOIN clients c"
                                              " ON c.id = p.client_id WHERE c.id IN (%s)" % ", ".join(map(str, self.own["clients"])))), 0)
        pipeline.run(first, self.target)
        pipeline.assert_same_dump(self, one, self.assert_own_rows())
        pipeline.run(second, self.target)
        self.assert_own_rows()
        self.rollback("start-of-run")
        pipeline.assert_same_dump(self, one, self.assert_own_rows())
        self.rollback("0")
        pipeline.assert_same_dump(self, self.before, self.assert_own_rows())
        self.assert_triggers_fire()

    def rollback(self, point):
        done = subprocess.run([pipeline.BIN / "pvrelay", "rollback", "--target", self.target, "--to", point], capture_output=True, text=True,
                              timeout=pipeline.DEADLINE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def assert_triggers_fire(self):
        """The HUB's own, for its own changes."""
        number = min(self.own["el_audits"])
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("UPDATE el_audits SET location = 'elsewhere' WHERE id = ?", (number,))
            db.commit()
        self.assertEqual(pipeline.query(self.target, "SELECT updated_at >= datetime('now', '-1 hour') FROM el_audits WHERE id = ?", number), [(1,)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) > 0 FROM hub_journal WHERE what = 'audit' AND row_id = ?", number), [(1,)])


if __name__ == "__main__":
    unittest.main()
