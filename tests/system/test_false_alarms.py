# SPDX-License-Identifier: MIT
"""Nothing is wrong, and nothing is said to be: exports of every layout and shape with every trap that leaves them acceptable,
three editions on top of each other, targets with rows of their own, values that are hard to compare."""

import contextlib
import json
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/mutants"))

import verifying  # noqa: E402
import world  # noqa: E402

CASES = int(os.environ.get("PVRELAY_CASES", "50"))
SEED = int(os.environ.get("PVRELAY_SEED", "1"))

LAYOUTS = ("pair", "one-file", "per-audit", "mixed-ndjson")
SHAPES = ("wrangler", "array", "ndjson", "results")
# With how many of them; None: a switch.
SPOILING = ("integer-beyond-int64", "unknown-status", "bad-utf8", "duplicate-key", "missing-field", "extra-field", "wrong-type", "orphan-module")
TRAPS = {"null-text": None, "real-null": None, "text-null": 9, "integer-2-53": 3, "nul-character": 3, "duplicate-module": 3, "bom": None, "crlf": None,
         "no-final-newline": None, "banner": None, "unknown-meta": None, "empty-results": None, "null-results": None, "several-result-sets": 3,
         **dict.fromkeys(SPOILING, 2)}
# Shapes that a trap needs, shapes that a layout has room for, traps that exclude each other.
NEEDS = {"several-result-sets": ("wrangler",), "null-results": ("wrangler", "results"), "unknown-meta": ("wrangler", "results"),
         "empty-results": ("wrangler", "array", "results")}
ROOM = {"one-file": ("wrangler", "ndjson"), "mixed-ndjson": ("ndjson",)}
EXCLUDES = {"null-text": {"real-null", "text-null"}, "real-null": {"null-text"}, "text-null": {"null-text"}, "empty-results": {"null-results"}, "null-results": {"empty-results"}}

OWN_ROWS = """
INSERT INTO users (id, email, name, role) VALUES (70, 'z@hub.example', 'Zoé Béranger', 'admin'), (71, 'z2@hub.example', 'Zoé Béranger', 'technician');
INSERT INTO clients (id, name, notes) VALUES (50, 'Énergies du Sud 1', 'ours'), (51, 'Énergies du Sud 1', 'ours too'), (52, 'Solaïa 1', NULL);
INSERT INTO projects (id, client_id, name, site_address) VALUES (30, 50, 'Centrale de Béziers — n°1', 'Pau'), (31, 52, 'x', 'y');
INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date) VALUES (9, 30, 70, 'el', '2024-02-01');
INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, string_count, modules_per_string, total_modules)
    VALUES (4, 9, 'hub-1', 'a', 'b', 1, 2, 2);
INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) VALUES (4, 'hub-1', 'S1-1', 1, 1);
"""


class Case:
    """One of the generated exports: what the generator is asked for, and what the target is before."""

    def __init__(self, number):
        chance = random.Random(f"{SEED}/{number}")
        self.number = number
        self.seed = chance.randrange(1, 1 << 30)
        self.layout = LAYOUTS[number % len(LAYOUTS)]
        self.size = ("--audits", chance.randrange(2, 7), "--modules-per-audit", chance.randrange(20, 60))
        # Every trap comes in its turn, and others by chance; the layout and the shape give way to the first, the others to them.
        first = list(TRAPS)[number % len(TRAPS)]
        if self.layout == "mixed-ndjson" and first in NEEDS:
            self.layout = "pair"
        shapes = [shape for shape in SHAPES if shape in NEEDS.get(first, SHAPES) and shape in ROOM.get(self.layout, SHAPES)]
        self.shape = shapes[number // len(LAYOUTS) % len(shapes)]
        self.traps = {first}
        for trap in chance.sample(list(TRAPS), chance.randrange(4)):
            if self.shape in NEEDS.get(trap, SHAPES) and not self.traps & EXCLUDES.get(trap, set()):
                self.traps.add(trap)
        self.keep = number % 4 == 3
        self.own_rows = number % 3 == 1

    def arguments(self, revision):
        traps = [word for trap in sorted(self.traps) for word in ("--trap", trap if TRAPS[trap] is None else f"{trap}={TRAPS[trap]}")]
        return [*self.size, "--seed", self.seed, "--revision", revision, "--layout", self.layout, "--shape", self.shape, *traps]

    def __str__(self):
        return " ".join(map(str, [*self.arguments(0), "keep" if self.keep else "", "own rows" if self.own_rows else ""]))


class FalseAlarms(unittest.TestCase):
    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)

    def with_own_rows(self, name="own"):
        target = self.root / f"{name}.db"
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", target], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(target)) as db:
            db.executescript(OWN_ROWS)
        return target

    def replay(self, exports, target, *options):
        """Run and verify: nothing wrong by either. Returns what verify said."""
        done = pipeline.run(exports, target, "--run-dir", self.root / "d", *options, expect=None)
        self.assertIn(done.returncode, (0, 3), f"{done.stdout}\n{done.stderr}")
        self.assertEqual(pipeline.query(target, "SELECT * FROM pvrelay_failure"), [])
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated <> 1"), [(0,)])
        code, told = verifying.verify(exports, target, *options)
        self.assertEqual((code, verifying.failures(told)), (0, []))
        return told

    def test_generated(self):
        met = set()
        for number in range(CASES):
            case = Case(number)
            met |= case.traps
            with self.subTest(case=str(case)):
                target = self.with_own_rows(f"g{number}") if case.own_rows else self.root / f"g{number}.db"
                for revision in (0, 1, 2):
                    exports = pipeline.generate(self.root / f"g{number}-{revision}", *case.arguments(revision))
                    self.replay(exports, target, *(["--null-text", "keep"] if case.keep else []))
        if CASES >= len(TRAPS):
            self.assertEqual(met, set(TRAPS))

    def test_hard_values(self):
        """Both editions of the small export, with records to reject, in wrangler's shape and as bare arrays."""
        for rejects in (False, True):
            for edition in (0, 1):
                exports = world.make(self.root / f"w{edition}{rejects}", edition, rejects)
                for name, options in (("null", ()), ("keep", ("--null-text", "keep"))):
                    with self.subTest(rejects=rejects, edition=edition, null_text=name):
                        self.replay(exports, self.root / f"hard-{name}.db", *options)

    def modules(self, changes):
        """One audit, and a module for each change of it."""
        records = [{**world.module(1, 0, 0), "module_id": f"X{number}", **change} for number, change in enumerate(changes)]
        return [world.write(self.root / "hard", "audits", [world.audit(1, 0)]), world.write(self.root / "hard", "modules", records)]

    def test_odd_values(self):
        changes = [{"physical_row": value, "physical_col": -value} for value in (0, 1 << 31, (1 << 53) + 1, (1 << 63) - 1)]
        changes += [{"comment": value} for value in ("é" * 300_000, "\u0000", "\ufeff", "\U0010ffff", "\t\r\n\b\f",
                                                  "\\u0041", "NULL", "Null", "0", "1.0", "1e3")]
        changes += [{"technician_id": value} for value in ("Technicien EL (migration)", "é" * 500, "null ", "1", "01", "%_", "a@b", "\u0000", "=41", "A")]
        changes += [{"id": value} for value in (None, "seven", 1.5, True, [], {"a": [1]})]
        changes += [{"created_at": value, "updated_at": value} for value in (None, "", "null", "2025-02-30 00:00:00", "yesterday")]
        changes += [{"module_id": value} for value in ("", " ", "x1", "X0 ", "X\u0000", "0", "00")]
        changes += [{"status": value} for value in (None, "", "OK", 1)]
        exports = self.modules(changes)
        # What Python would not write: numbers beyond a double, in a field that counts and in one that does not; -0; escapes; lone surrogates.
        text = exports[1].read_text()
        record = json.dumps({**world.module(1, 0, 0), "module_id": "Y", "physical_row": 5_000_000_000, "comment": "é"}, ensure_ascii=False)
        odd = [record.replace('"Y"', f'"Y{n}"').replace(find, replace) for n, (find, replace) in enumerate((
            ('"id": 1000', '"id": 1e400'), ('"id": 1000', '"id": -1E+999'), ('"id": 1000', '"id": 99999999999999999999'), ('"id": 1000', '"id": -0'),
            ('"physical_row": 5000000000', '"physical_row": 1e400'), ('"physical_row": 5000000000', '"physical_row": 1.0'),
            ('"physical_row": 5000000000', '"physical_row": -0'), ('"physical_row": 5000000000', '"physical_row": 9223372036854775808'),
            ('"comment": "', '"comment": "\\ud800'), ('"comment": "', '"comment": "\\ud83d\\ude00\\u0000\\/'),
            ('"comment"', '"\\u0063omment"'), ('"status": ', '"status": "ok", "status": ')))]
        self.assertEqual(len({record, *(one.replace(f'"Y{n}"', '"Y"') for n, one in enumerate(odd))}), len(odd) + 1, "one is as the others")
        exports[1].write_text(text.replace('\n    ],\n    "success"', ",\n" + ",\n".join(odd) + '\n    ],\n    "success"'))
        self.assertIn("Y0", exports[1].read_text())
        for name, options in (("null", ()), ("keep", ("--null-text", "keep"))):
            with self.subTest(null_text=name):
                target = self.with_own_rows(f"odd-{name}")
                self.replay(exports, target, *options)
                self.assertGreater(pipeline.query(target, "SELECT count(*) FROM el_modules WHERE audit_token <> 'hub-1'")[0][0], 30)

    def test_the_same_key_again(self):
        """Within a batch, in another batch, in another file: the last one is stored, which is a finding and no failure."""
        first = [world.module(1, index, 0) for index in range(24)]
        later = [{**record, "id": 5000 + n, "comment": f"later {n}", "status": "dead"} for n, record in enumerate(first[:6])]
        audits = world.write(self.root, "audits", [world.audit(1, 0)])
        config = pipeline.write_config(self.root / "small.json", [audits], self.root / "unused.db", self.root / "unused", batch_bytes=4096,
                                       window_bytes=65536)
        for name, files in (("batch", [first[:3] + later[:3] + first[6:]]), ("batches", [first + later]), ("files", [first, later]),
                            ("thrice", [first + later, [{**record, "comment": "last"} for record in first[:2]]])):
            with self.subTest(where=name):
                exports = [audits, *(world.write(self.root, f"{name}-{n}", records) for n, records in enumerate(files))]
                target = self.root / f"{name}.db"
                pipeline.run(exports, target, "--config", config, "--run-dir", self.root / "d")
                told = self.replay(exports, target)
                self.assertIn("duplicate_key", {finding["kind"] for finding in told["findings"]})

    def test_audits_and_modules_apart(self):
        """Two runs, one export each: each is proved by itself and both together."""
        audits, modules = world.make(self.root / "apart", 1, True)
        target = self.root / "apart.db"
        self.replay([audits], target)
        self.replay([modules], target)
        code, told = verifying.verify([modules, audits], target)
        self.assertEqual((code, verifying.failures(told)), (0, []))

    def test_retried(self):
        """Rejects that were tried again after the audit came, and all of it once more."""
        target = self.root / "retried.db"
        exports = world.make(self.root / "retried", 0, True)
        pipeline.run(exports, target, "--run-dir", self.root / "d", expect=3)
        known = world.write(self.root, "nobody", [{**world.audit(1, 0), "token": "nobody"}])
        pipeline.run([known], target, "--run-dir", self.root / "d")
        done = subprocess.run([pipeline.BIN / "pvrelay", "retry-rejects", "--target", target, "--run-dir", self.root / "d", "--progress", "none"],
                              capture_output=True, text=True, timeout=pipeline.DEADLINE, check=False)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        code, told = verifying.verify([*exports, known], target)
        self.assertEqual((code, verifying.failures(told)), (0, []))
        self.replay([*exports, known], target)

    def test_after_a_rollback(self):
        target = self.with_own_rows()
        exports = [world.make(self.root / f"b{edition}", edition, True) for edition in (0, 1)]
        for one in exports:
            self.replay(one, target)
        subprocess.run([pipeline.BIN / "pvrelay", "rollback", "--target", target, "--to", "start-of-run"], check=True, stdout=subprocess.DEVNULL,
                       timeout=pipeline.DEADLINE)
        code, told = verifying.verify(exports[0], target)
        self.assertEqual((code, verifying.failures(told)), (0, []))
        self.replay(exports[1], target)


if __name__ == "__main__":
    unittest.main()
