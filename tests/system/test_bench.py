#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark measures the same work: every peer that is installed, and the floor, fill a target with the content that pvrelay
proves; what holds anything else is refused; what it writes is what docs/performance.md says."""

import contextlib
import io
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import bench  # noqa: E402
import contenders  # noqa: E402
import digest  # noqa: E402
import guard  # noqa: E402
import publish  # noqa: E402

NODE_MODULES = pathlib.Path(os.environ.get("PVRELAY_NODE_MODULES", ROOT / "build/bench/node_modules"))
# What every peer can read; the sqlite3 shell loads one result set of a file only.
TRAPS = ("real-null", "crlf", "no-final-newline", "unknown-meta")
FIRST_SET_ONLY = {"sqlite-json-each"}
IDS = {"id"}


@contextlib.contextmanager
def quiet():
    """Progress is for a person."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def run_bench(out, *arguments, environment=None, program=sys.executable):
    return subprocess.run([program, ROOT / "bench/bench.py", "--bin", pipeline.BIN, "--out", out, "--node-modules", NODE_MODULES,
                           *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE,
                          env={**os.environ, **(environment or {})})


class SameContent(unittest.TestCase):
    def compare(self, root, exports, leave_out=()):
        """Every contender that fills a target, on these exports."""
        with quiet():
            world = bench.World(pipeline.BIN, root / "out", 100, NODE_MODULES)
            world.exports = exports
            expectations = world.expectations()
        chosen = [c for c in contenders.contenders(world)
                  if c.expects == "all" and not c.copied and c.state == "measured" and c.name not in leave_out]
        self.assertIn("python-json", [c.name for c in chosen])
        for contender in chosen:
            with self.subTest(contender=contender.name):
                bench.sample(world, contender, expectations)
                self.assertEqual((contender.state, contender.why, len(contender.samples)), ("measured", "", 1))
        return expectations["all"]

    def test_production(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "exports", "--preset", "production")
            content = self.compare(root, exports)
        self.assertEqual(content["distribution"], {"dead_module/3": 182, "luminescence_inequality/1": 135, "microcrack/2": 87, "none/0": 58})
        self.assertEqual(content["counts"]["el_audits"], 2)

    def test_traps(self):
        with pipeline.folder() as root:
            traps = [word for trap in TRAPS for word in ("--trap", trap)]
            exports = pipeline.generate(root / "exports", "--modules", 900, "--modules-per-audit", 70, "--seed", 3, *traps)
            content = self.compare(root, exports)
        self.assertEqual(content["counts"]["el_modules"], 900)
        self.assertGreater(content["counts"]["users"], 4, "technicians whose names need encoding")

    def test_several_result_sets(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "exports", "--modules", 300, "--trap", "several-result-sets=3")
            self.compare(root, exports, FIRST_SET_ONLY)


class Digest(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(pipeline.folder())
        exports = pipeline.generate(folder / "exports", "--modules", 60, "--modules-per-audit", 30)
        self.base, self.copy = folder / "base.db", folder / "copy.db"
        pipeline.run(exports, self.base)
        with contextlib.closing(sqlite3.connect(self.base)) as db:
            # What they would do to an UPDATE is not asked here.
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.commit()
        self.content = digest.take(self.base)

    def changed(self, *statements):
        """The content of a copy that was changed."""
        shutil.copyfile(self.base, self.copy)
        with contextlib.closing(sqlite3.connect(self.copy)) as db:
            db.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                db.execute(statement)
            db.commit()
        return digest.take(self.copy)

    def test_every_column_counts(self):
        seen = 0
        with contextlib.closing(sqlite3.connect(self.base)) as db:
            columns = [(table, column) for table in (*digest.ROWS, "el_modules")
                       for _, column, *_ in db.execute(f"PRAGMA table_info({table})") if column not in IDS]
        for table, column in columns:
            # The audit's token beside its id is a key too: what hangs on the id is looked at by it.
            other = "99999" if column.endswith("_id") else "'something else'"
            with self.subTest(table=table, column=column):
                found = self.changed(f"UPDATE {table} SET {column} = {other} WHERE id = (SELECT max(id) FROM {table})")
                self.assertNotEqual(found["digest"] + str(found["stray"]), self.content["digest"] + str(self.content["stray"]))
                self.assertNotEqual(digest.difference(self.content, found), "")
                seen += 1
        self.assertEqual(seen, 73)

    def test_ids_do_not_count(self):
        references = {"users": [("interventions", "technician_id"), ("el_modules", "technician_id")], "clients": [("projects", "client_id")],
                      "projects": [("interventions", "project_id")], "interventions": [("el_audits", "intervention_id")],
                      "el_audits": [("el_modules", "el_audit_id")], "el_modules": []}
        statements = []
        for table, users in references.items():
            # The order turns round as well.
            statements.append(f"UPDATE {table} SET id = 5000 - id")
            statements += [f"UPDATE {user} SET {column} = 5000 - {column}" for user, column in users]
        self.assertEqual(self.changed(*statements), self.content)

    def test_rows_indexes_and_types_count(self):
        self.assertEqual(digest.difference(self.content, self.changed("DELETE FROM el_modules WHERE id = 7")), "el_modules: 59 rows, not 60")
        self.assertEqual(digest.difference(self.content, self.changed("DROP INDEX idx_el_modules_defect")),
                         "the content of rows, or an index, differs")
        self.assertEqual(digest.difference(self.content, self.changed(
            "UPDATE el_audits SET completion_rate = CAST(completion_rate AS TEXT) || '%' WHERE id = 1")),
            "the content of rows, or an index, differs")


class EndToEnd(unittest.TestCase):
    def test_all(self):
        with pipeline.folder() as root:
            done = run_bench(root, "--size", 2000, "--pairs", 1)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            document = json.loads((root / "bench-2000.json").read_text(encoding="utf-8"))
            chart = root / "bench-2000.png"
            if shutil.which("gnuplot"):
                self.assertEqual(chart.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            else:
                self.assertIn("no chart: gnuplot is not installed", done.stdout)
            self.assertEqual(sorted(path.name for path in root.iterdir() if path.suffix == ".db"), [])
        self.assertEqual(list(document), ["pvrelay_bench", "date", "machine", "versions", "input", "pairs", "undo", "fastest_peer",
                                          "contenders", "targets"])
        self.assertEqual({key: document["input"][key] for key in ("modules", "audits", "seed")}, {"modules": 2000, "audits": 4, "seed": 1})
        self.assertRegex(document["input"]["digest"], "^[0-9a-f]{32}$")
        rows = {row["name"]: row for row in document["contenders"]}
        self.assertEqual(list(rows), ["pvrelay", "pvrelay-undo-off", "pvrelay-validate-off", "pvrelay-unchanged", "pvrelay-rollback",
                                      "pvrelay-demo", "floor", "floor-indexes-kept", "python-json", "python-ijson", "sqlite-json-each",
                                      "jq-csv", "sqlite-utils", "node-better-sqlite3", "node-sqlite"])
        for name, row in rows.items():
            with self.subTest(contender=name):
                self.assertIn(row["title"], done.stdout)
                if row["state"] == "measured":
                    (sample,) = row["samples"]
                    self.assertEqual(list(sample), ["seconds", "cpu_seconds", "rss_mib", "load", "others_before", "others", "disturbed"])
                    self.assertEqual((row["why"], row["median_seconds"]), ("", sample["seconds"]))
                    self.assertEqual(row["max_rss_mib"], sample["rss_mib"])
                    self.assertEqual(sample["rss_mib"] is None, row["kind"] == "floor")
                    self.assertGreater(sample["cpu_seconds"], 0)
                else:
                    self.assertIn(row["state"], ("not installed", "left out"))
                    self.assertNotEqual(row["why"], "")
                    self.assertIn(f"{row['state']}: {row['why']}", done.stdout)
        for name in ("pvrelay", "pvrelay-unchanged", "pvrelay-rollback", "floor", "python-json"):
            self.assertEqual(rows[name]["state"], "measured")
        # Four daemons and their supervisor, each of some MiB.
        self.assertGreater(rows["pvrelay"]["max_rss_mib"], 20)
        self.assertEqual(rows["floor"]["ratio_to_floor"], 1)
        for name in ("pvrelay-unchanged", "pvrelay-rollback", "pvrelay-demo"):  # they do something else
            self.assertIsNone(rows[name]["ratio_to_floor"], name)
        fastest = min((row for row in rows.values() if row["kind"] == "peer" and row["state"] == "measured"),
                      key=lambda row: row["median_seconds"])
        self.assertEqual(document["fastest_peer"], fastest["name"])
        first = document["targets"][0]
        self.assertEqual(list(first), ["target", "text", "limit", "at_most", "value", "reached", "note"])
        self.assertEqual(first["value"], rows["pvrelay"]["ratio_to_fastest_peer"])
        self.assertEqual(first["reached"], first["value"] <= 0.75)

    def test_wrong_content_is_refused(self):
        with pipeline.folder() as root:
            done = run_bench(root, "--size", 500, "--pairs", 2, "--only", "pvrelay,python-json",
                             environment={"PVRELAY_BENCH_SPOIL": "python-json"})
            document = json.loads((root / "bench-500.json").read_text(encoding="utf-8"))
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, "bench: a contender was refused"))
        why = "its content is not pvrelay's: el_modules: 499 rows, not 500"
        self.assertIn(f"\npython3: json + sqlite3                refused: {why}\n", done.stdout)
        self.assertEqual([(row["name"], row["state"], row["why"], len(row["samples"])) for row in document["contenders"]],
                         [("pvrelay", "measured", "", 2), ("python-json", "refused", why, 0)])
        self.assertIsNone(document["fastest_peer"])

    def test_what_is_missing_is_named(self):
        with pipeline.folder() as root:
            tools = root / "tools"
            tools.mkdir()
            for name in ("sh", "env", "sqlite3", "uname"):
                (tools / name).symlink_to(shutil.which(name) or "/nowhere")
            done = run_bench(root / "out", "--size", 200, "--pairs", 1, "--only", "pvrelay,jq-csv,node-sqlite",
                             environment={"PATH": str(tools)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("\njq → CSV → sqlite3 .import             not installed: no jq\n", done.stdout)
        self.assertIn("\nnode:sqlite                            not installed: no node\n", done.stdout)
        self.assertIn("no chart: gnuplot is not installed (Debian: gnuplot-nox)\n", done.stdout)

    def test_unknown_contender(self):
        with pipeline.folder() as root:
            done = run_bench(root, "--size", 200, "--only", "pvrelay,oracle")
        self.assertEqual(done.returncode, 1)
        self.assertIn('bench: there is no contender "oracle"; there are pvrelay, pvrelay-undo-off,', done.stderr)

    def test_micro(self):
        with pipeline.folder() as root:
            done = run_bench(root, "micro", "--size", 1000, "--seconds", 0.001)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()],
                         ["scan", "slice", "transform", "encode", "decode", "commit", "commit-undo", "proof"])
        self.assertTrue(all(float(line.split()[1]) > 0 for line in done.stdout.splitlines()), done.stdout)


class Publish(unittest.TestCase):
    """What a run of the benchmark becomes in README.md."""

    def document(self, seconds, modules=1000000):
        row = {"kind": "pvrelay", "state": "measured", "name": "pvrelay", "title": "pvrelay", "median_seconds": seconds, "min_seconds": 8.0,
               "max_seconds": 9.5, "median_cpu_seconds": 13.333, "max_rss_mib": 123.4, "ratio_to_floor": 1.1, "ratio_to_fastest_peer": 0.7}
        floor = {**row, "kind": "floor", "name": "floor", "title": "SQLite alone", "max_rss_mib": None, "ratio_to_floor": 1.0,
                 "ratio_to_fastest_peer": None}
        absent = {"kind": "peer", "state": "not installed", "name": "jq", "title": "jq"}
        return {"date": "2026-01-02 03:04:05 UTC", "pairs": 5, "contenders": [row, floor, absent],
                "machine": {"processor": "A", "processors": 2, "memory_mib": 24576, "system": "Debian"},
                "versions": {"pvrelay": "pvrelay 1.2.3"}, "input": {"modules": modules, "bytes": 421000000}}

    def test_into_the_readme(self):
        with pipeline.folder() as root:
            (root / "docs").mkdir()
            (root / "README.md").write_text(f"before\n{publish.BEGIN}old\n{publish.END}after\n")
            for modules in (1000000, 4000000):
                document = self.document(modules * 8.5e-6, modules)
                (root / f"bench-{modules}.json").write_text(json.dumps(document))
                (root / f"bench-{modules}.png").write_bytes(b"%d" % modules)
            for _ in range(2):  # the second time it replaces itself
                subprocess.run([sys.executable, ROOT / "bench/publish.py", root / "bench-1000000.json", root / "bench-4000000.json",
                                "--root", root], check=True, stdout=subprocess.DEVNULL)
            self.assertEqual((root / "docs/bench.png").read_bytes(), b"1000000")
            self.assertEqual((root / "README.md").read_text(), f"before\n{publish.BEGIN}" + """
1,000,000 modules, 421 MB of JSON, 5 interleaved rounds, 2026-01-02; 2 processors (A), 24 GiB, Debian, pvrelay 1.2.3.

| | wall, median s | least to most | CPU s | peak MiB | / SQLite alone | / fastest peer |
|---|--:|--:|--:|--:|--:|--:|
| **pvrelay** | 8.50 | 8.00 to 9.50 | 13.33 | 123 | 1.10 | 0.70 |
| SQLite alone | 8.50 | 8.00 to 9.50 | 13.33 |  | 1.00 |  |

4,000,000 modules (2026-01-02): 34.0 s, 4.00 × the time of 1,000,000; 123 MiB.

""" + f"{publish.END}after\n")

    def test_a_readme_without_its_marks(self):
        with self.assertRaisesRegex(SystemExit, "needs these two lines once"):
            publish.put("no marks", "text")
        publish.put((ROOT / "README.md").read_text(encoding="utf-8"), "text")  # ours has them


class Guard(unittest.TestCase):
    def test_three_percent(self):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            self.assertEqual(guard.compare({"a": 1000, "b": 1000, "c": 1000, "d": 1000}, {"a": 1030, "b": 970, "c": 1031, "d": 969}), 2)
            self.assertEqual(guard.compare({"a": 1000}, {"b": 1000}), 2)
        self.assertEqual(told.getvalue().count("TOO FAR"), 2)

    def test_other_toolchain_is_skipped(self):
        kept = json.loads((ROOT / "bench/instructions.json").read_text())
        kept["toolchain"]["compiler"] = "Tcc 0.1"
        with pipeline.folder() as root:
            (root / "kept.json").write_text(json.dumps(kept))
            done = subprocess.run([sys.executable, ROOT / "bench/guard.py", "--bin", pipeline.BIN, "--figures", root / "kept.json"],
                                  capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, 77, done.stderr)
        if shutil.which("valgrind"):
            self.assertRegex(done.stdout, r"skipped: other toolchain: the figures are of (build .*, )?compiler Tcc 0\.1 \(here ")


if __name__ == "__main__":
    unittest.main()
