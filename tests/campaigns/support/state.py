# SPDX-License-Identifier: MIT
"""What a target holds, as far as an undisturbed run and a disturbed one must agree; and whether the file is sound."""

import contextlib
import sqlite3

import support.campaign as campaign

pipeline = campaign.pipeline

BOOKS = {
    "run": "SELECT kind, state, outcome, source, ordinal, \"offset\" FROM pvrelay_run WHERE run = ?",
    "accounts": "SELECT s.stream, s.records, sum(c.inserted), sum(c.updated), sum(c.unchanged), sum(c.rejected), min(c.validated), max(c.validated)"
                " FROM pvrelay_source s LEFT JOIN pvrelay_checkpoint c ON c.run = s.run AND c.source = s.source AND c.kind = 'batch'"
                " WHERE s.run = ? GROUP BY s.source ORDER BY s.source",
    "rejects": "SELECT source, stream, ordinal, \"offset\", length, reason, field, detail, raw FROM pvrelay_reject WHERE run = ? ORDER BY source, ordinal",
    "findings": "SELECT kind, stream, field, count, source, ordinal, detail FROM pvrelay_finding WHERE run = ? ORDER BY 1, 2, 3",
    "failures": "SELECT kind, stream, table_name, row_key, column_name, expected, stored FROM pvrelay_failure WHERE run = ? ORDER BY 1, 2, 3, 4, 5",
    "deferred indexes": "SELECT name FROM pvrelay_deferred_index WHERE run = ?",
}


def last_run(target):
    """The number of the target's last run; 0 if there is none yet."""
    try:
        return pipeline.query(target, "SELECT coalesce(max(run), 0) FROM pvrelay_run")[0][0]
    except sqlite3.OperationalError:
        return 0


def of(target, run):
    """All content, and the books of one run."""
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True, timeout=30)) as db:
        return {**pipeline.dump(target), **{name: db.execute(sql, (run,)).fetchall() for name, sql in BOOKS.items()}}


def assert_idle_after(target, run):
    """A command whose end was not seen is given again: what it does then is a run of its own that finds everything unchanged."""
    found = pipeline.query(target, "SELECT run, sum(inserted), sum(updated) FROM pvrelay_checkpoint WHERE run > ? GROUP BY run", run)
    assert all(row[1:] == (0, 0) for row in found), f"runs that should have found nothing to do: {found}"


def assert_same(expected, found, what):
    """Raise AssertionError that names the first table and row that differ."""
    for table in sorted(expected.keys() | found.keys()):
        one, other = expected.get(table, []), found.get(table, [])
        for row, twin in zip(one, other):
            assert row == twin, f"{what}: {table}: expected {row}, there is {twin}"
        assert len(one) == len(other), f"{what}: {table}: expected {len(one)} rows, there are {len(other)}"


def assert_sound(target, what):
    """The database itself: pages, indexes, references."""
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True, timeout=30)) as db:
        found = db.execute("PRAGMA integrity_check").fetchall()
        assert found == [("ok",)], f"{what}: integrity_check: {found[:5]}"
        found = db.execute("PRAGMA foreign_key_check").fetchall()
        assert not found, f"{what}: foreign_key_check: {found[:5]}"
