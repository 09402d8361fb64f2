#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What pvrelay stores beside what pvrelay-mapping(5) says, computed by a small program of its own (tests/oracle/): generated mappings,
targets and exports, two runs each, a row by hand in between. The validator reads mappings with the transformer's own code; this does not."""

import collections
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))

import oracle
import pipeline
import worlds

WORLDS = int(os.environ.get("PVRELAY_WORLDS", "20"))
SEED = int(os.environ.get("PVRELAY_SEED", "1"))


@functools.cache
def hub():
    """A HUB database with nothing in it: a world's tables stand beside its own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="pvr-hub-", dir="/tmp"))
    unittest.addModuleCleanup(shutil.rmtree, path)
    subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", path / "hub.db"], check=True, stdout=subprocess.DEVNULL)
    return path / "hub.db"


class Target:
    """A world's database."""

    def __init__(self, folder, world):
        self.world = world
        self.path = folder / "target.db"
        self.folder = folder
        (folder / "mapping.json").write_text(json.dumps(world.mapping, ensure_ascii=False))
        shutil.copy(hub(), self.path)
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.executescript(world.schema())

    def replay(self, number, files):
        """A run; returns {(file, ordinal): all that is told to be wrong with the record, pairs of field and reason}."""
        paths = []
        for at, records in enumerate(files):
            paths.append(self.folder / f"run{number}-{at}.json")
            paths[-1].write_text("[" + ",\n".join(records) + "]")
        done = pipeline.run(paths, self.path, "--mapping", self.folder / "mapping.json", expect=None)
        if done.returncode not in (0, 3):
            raise AssertionError(f"world {self.world.mapping['name']}: {done.returncode}: {done.stdout}{done.stderr}")
        rejects = {}
        for path, ordinal, reason, field, detail in pipeline.query(
                self.path, "SELECT s.path, j.ordinal, j.reason, j.field, j.detail FROM pvrelay_reject j JOIN pvrelay_source s USING (run, source)"
                " WHERE j.run = (SELECT max(run) FROM pvrelay_run)"):
            others = re.findall(r"(?:^|; )also (.+?): ([a-z_]+)", detail or "")
            rejects[paths.index(pathlib.Path(path)), ordinal] = {(field or None, reason), *others}
        return done, rejects

    def rows(self, references):
        """The rows of all mapped tables, free of ids."""
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.row_factory = sqlite3.Row
            tables = {table: {row["id"]: {column: row[column] for column in columns} for row in db.execute(f"SELECT * FROM {table}")}
                      for table, columns in self.world.tables.items()}
        for table, rows in tables.items():
            for row in rows.values():
                for column, other in references.get(table, {}).items():
                    if row.get(column) is not None:
                        row[column] = tables[other][row[column]]
        return {table: list(rows.values()) for table, rows in tables.items()}


def typed(value):
    """So that 1 is not 1.0."""
    return tuple(map(typed, value)) if isinstance(value, tuple) else (type(value).__name__, value)


def content(rows, references):
    return collections.Counter(typed(oracle.identity(table, row, references)) for table in rows for row in rows[table])


class World:
    """A generated world, its database and what the oracle makes of it, run by run."""

    def __init__(self, seed, faults=(), given=None):
        self.world = given or worlds.World(seed)
        self.references = oracle.references(self.world.mapping)
        self.oracle = oracle.Oracle(self.world.mapping, self.world.required(), faults)

    def expected(self, run):
        """{(file, ordinal): all that is wrong with the record}, and the rows that are to be there then."""
        rejects = self.oracle.run([[oracle.parse(text) for text in records] for records in self.world.runs[run]])
        return rejects, content(self.oracle.rows, self.references)

    def replaced(self):
        """The rows whose placeholder somebody replaces between the runs: (table of the row, its k)."""
        for stream in self.world.mapping["streams"]:
            main = stream["rows"][-1]
            if "placeholder_id" in main["columns"]:
                for row in list({row["k"]: row for row in self.oracle.rows[main["table"]]}.values())[::3]:
                    yield main["table"], self.references[main["table"]]["placeholder_id"], row

    def replace_in_oracle(self):
        for main, table, row in self.replaced():
            real = {column: None for column in self.oracle.columns[table]}
            real["note"] = f"the real one of {row['k']}"
            self.oracle.rows[table].append(real)
            for other in self.oracle.rows[main]:
                if other["k"] == row["k"]:
                    other["placeholder_id"] = real

    def replace_in(self, target):
        with contextlib.closing(sqlite3.connect(target.path)) as db, db:
            for main, table, row in self.replaced():
                real = db.execute(f"INSERT INTO {table} (note) VALUES (?)", (f"the real one of {row['k']}",)).lastrowid
                db.execute(f"UPDATE {main} SET placeholder_id = ? WHERE k = ?", (real, row["k"]))


class MappingOracle(unittest.TestCase):
    def check(self, seed, given=None):
        """Replay a world, that of the seed or a given one; returns how many records it had."""
        world = World(seed, given=given)
        with pipeline.folder() as folder:
            target = Target(folder, world.world)
            for run, files in enumerate(world.world.runs):
                done, rejects = target.replay(run, files)
                expected, rows = world.expected(run)
                context = f"world {seed}, run {run + 1} (PVRELAY_SEED={seed} PVRELAY_WORLDS=1)"
                self.assertEqual(sorted(rejects), sorted(expected), f"{context}: rejected records\n{done.stdout}")
                for place, problems in rejects.items():
                    self.assertEqual(problems, expected[place], f"{context}: what is wrong with {place}")
                self.assertEqual(done.returncode, 3 if expected else 0, context)
                stored = content(target.rows(world.references), world.references)
                self.assertEqual(stored - rows, collections.Counter(), f"{context}: rows that should not be there")
                self.assertEqual(rows - stored, collections.Counter(), f"{context}: rows that should be there")
                if run == 0:
                    world.replace_in(target)
                    world.replace_in_oracle()
        return sum(len(records) for files in world.world.runs for records in files)

    def test_worlds(self):
        """Each record of each world is a case: a mapping, a record, the rows that were there before."""
        cases = sum(self.check(seed) for seed in range(SEED, SEED + WORLDS))
        self.assertGreaterEqual(cases, 1000 * WORLDS // 20, "cases")
        print(f"{WORLDS} worlds, {cases} records", file=sys.stderr)

    def test_kept_column_of_a_row_that_is_there(self):
        """A column that is kept need not hold what the record says, not even where the target forbids NULL in it."""
        self.check("kept", worlds.Small(
            {"main": {"k": {"copy": "k"}, "grade": {"copy": "grade", "on_update": "keep"}}}, {"main": {"grade": ("INTEGER", True)}},
            [[{"k": "a", "grade": 1}, {"k": "b", "grade": 2}, {"k": "a", "grade": None}, {"k": "c", "grade": None}]]))

    def test_two_records_of_one_row_each_with_a_new_shared_row(self):
        """The second finds the row there, keeps what is kept of it, and both are proved."""
        self.check("kept, shared", worlds.Small(
            {"shared": {"label": {"template": "n{grade}"}},
             "main": {"k": {"copy": "k"}, "shared_id": {"parent": "shared"}, "grade": {"copy": "grade", "on_update": "keep"}}}, {},
            [[{"k": "a", "grade": 1}, {"k": "a", "grade": 2}]], if_present={"shared": "grade"}))

    def test_found_through_where_a_row_that_carries_the_key_is_not_made(self):
        """The first row that copies the field is one that this record does not make."""
        edition = [{"k": key, "grade": None, "text": "x"} for key in "abcd"]
        self.check("through", worlds.Small(
            {"shared": {"label": {"template": "n{grade}"}, "origin": {"copy": "k", "on_update": "keep"}},
             "placeholder": {"note": {"template": "placeholder for {k}"}, "extra": {"copy": "text"}},
             "main": {"k": {"copy": "k"}, "shared_id": {"parent": "shared"}, "placeholder_id": {"parent": "placeholder", "on_update": "keep"}}},
            {}, [edition, [dict(record, text="y") for record in edition]], if_present={"shared": "grade"}))

    def test_faults(self):
        """Each mistake that the oracle knows would be noticed: with it planted, some world has other rows or rejects."""
        for fault in oracle.FAULTS:
            with self.subTest(fault=fault):
                self.assertTrue(any(self.differs(seed, fault) for seed in range(SEED, SEED + WORLDS)), fault)

    @staticmethod
    def differs(seed, fault):
        right, wrong = World(seed), World(seed, [fault])
        for run in range(2):
            try:
                if right.expected(run) != wrong.expected(run):
                    return True
            except (KeyError, TypeError, AttributeError):
                return True
            if run == 0:
                right.replace_in_oracle()
                wrong.replace_in_oracle()
        return False


if __name__ == "__main__":
    unittest.main()
