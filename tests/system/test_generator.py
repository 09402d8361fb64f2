#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The export generator: the production figures, the wrangler format byte for byte, determinism, every trap."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

GENERATOR = os.path.join(os.environ["PVRELAY_BIN"], "pvrelay-export-gen")

JALIBAT = "a4e19950-c73c-412c-be4d-699c9de1dde1"
LES_FORGES = "76e6eb36-8b49-4255-99d3-55fc1adfc1c9"

AUDIT_KEYS = ["id", "token", "project_name", "client_name", "location", "string_count", "modules_per_string",
              "total_modules", "plan_file", "status", "created_at", "updated_at", "json_config"]
MODULE_KEYS = ["id", "audit_token", "module_id", "string_number", "position_in_string", "status", "comment",
               "technician_id", "created_at", "updated_at", "physical_row", "physical_col"]
META_KEYS = ["served_by", "duration", "changes", "last_row_id", "changed_db", "size_after", "rows_read",
             "rows_written"]
STATUSES = {"ok", "microcracks", "dead", "inequality", "pending", "string_open", "not_connected"}


class GeneratorTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.runs = 0

    def generate(self, *arguments):
        """Run the generator into a folder of its own; returns {file name: bytes}."""
        self.runs += 1
        out = self.folder / f"out{self.runs}"
        done = subprocess.run([GENERATOR, "--out", out, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        files = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
        told = re.findall(r"^(.*): (\d+) bytes, \d+ records?$", done.stdout, re.M)
        self.assertEqual(sorted((str(out / name), str(len(data))) for name, data in files.items()), sorted(told))
        return files

    def modules(self, *arguments):
        """The bytes of modules.json of 2 audits with 50 modules each, and its records."""
        data = self.generate("--audits", "2", "--modules-per-audit", "50", *arguments)["modules.json"]
        return data, json.loads(data)[0]["results"]

    def refused(self, message, *arguments):
        done = subprocess.run([GENERATOR, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", f"pvrelay-export-gen: {message}\n"))


class Production(GeneratorTest):
    def setUp(self):
        super().setUp()
        files = self.generate("--preset", "production")
        self.assertEqual(list(files), ["prod_export_audits.json", "prod_export_modules.json"])
        self.raw_audits, self.raw_modules = files.values()
        self.audits = {audit["token"]: audit for audit in json.loads(self.raw_audits)[0]["results"]}
        self.records = json.loads(self.raw_modules)[0]["results"]

    def test_audits(self):
        self.assertEqual(set(self.audits), {JALIBAT, LES_FORGES})
        jalibat, forges = self.audits[JALIBAT], self.audits[LES_FORGES]
        self.assertEqual((jalibat["project_name"], jalibat["client_name"], jalibat["status"]),
                         ("JALIBAT", "JALIBAT Industrie", "created"))
        self.assertEqual((forges["project_name"], forges["client_name"], forges["status"]),
                         ("LES FORGES", "Arkolia Énergies", "created"))
        self.assertEqual((jalibat["string_count"], jalibat["modules_per_string"], jalibat["total_modules"]),
                         (11, 22, 242))
        self.assertEqual((forges["modules_per_string"], forges["total_modules"]), (0, 220))
        self.assertEqual(jalibat["json_config"],
                         '{"mode":"simple","stringCount":11,"modulesPerString":22,"totalModules":242}')
        self.assertEqual(len(json.loads(forges["json_config"])["modules"]), 220)
        self.assertEqual(jalibat["created_at"], "2025-10-27 09:43:12")

    def test_size_of_the_audits_is_the_seeds(self):
        self.assertEqual(round(len(self.raw_audits) / 1000), 27)

    def test_distribution(self):
        def count(token):
            return collections.Counter(module["status"] for module in self.records if module["audit_token"] == token)

        self.assertEqual(len(self.records), 462)
        self.assertEqual(count(JALIBAT), {"ok": 58, "microcracks": 2, "dead": 182})
        self.assertEqual(count(LES_FORGES), {"microcracks": 85, "inequality": 135})

    def test_strings(self):
        jalibat = [module for module in self.records if module["audit_token"] == JALIBAT]
        lengths = collections.Counter(module["string_number"] for module in jalibat)
        self.assertEqual(lengths, {1: 26, **{string: 24 for string in range(2, 11)}})
        for module in jalibat:
            self.assertEqual(module["module_id"], f"S{module['string_number']}-{module['position_in_string']}")
        forges = [module for module in self.records if module["audit_token"] == LES_FORGES]
        self.assertEqual([module["module_id"] for module in forges], [f"M{n:03}" for n in range(1, 221)])

    def test_values(self):
        comments = collections.Counter(module["comment"] for module in self.records)
        self.assertEqual(comments.pop("null"), 459)
        self.assertEqual(sum(comments.values()), 3)
        self.assertTrue(any(ord(character) > 0xFFFF for comment in comments for character in comment))
        self.assertEqual({module["technician_id"] for module in self.records}, {"null"})
        ids = [module["id"] for module in self.records]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertLess(len(ids), ids[-1] - ids[0] + 1, "the ids have gaps")
        for module in self.records:
            self.assertRegex(module["created_at"], r"^2025-10-\d\d \d\d:\d\d:\d\d$")

    def test_format_is_that_of_json_stringify(self):
        for raw, keys in ((self.raw_audits, AUDIT_KEYS), (self.raw_modules, MODULE_KEYS)):
            document = json.loads(raw)
            self.assertEqual(json.dumps(document, indent=2, ensure_ascii=False) + "\n", raw.decode())
            self.assertEqual(list(document[0]), ["results", "success", "meta"])
            self.assertEqual(list(document[0]["meta"]), META_KEYS)
            self.assertIs(document[0]["success"], True)
            for record in document[0]["results"]:
                self.assertEqual(list(record), keys)

    def test_another_seed_keeps_the_figures(self):
        files = self.generate("--preset", "production", "--seed", "77")
        self.assertNotEqual(files["prod_export_modules.json"], self.raw_modules)
        records = json.loads(files["prod_export_modules.json"])[0]["results"]
        self.assertEqual(collections.Counter(record["status"] for record in records),
                         {"ok": 58, "microcracks": 87, "dead": 182, "inequality": 135})


class Load(GeneratorTest):
    def test_same_options_make_the_same_bytes(self):
        for arguments in ([], ["--modules", "3000"], ["--modules", "900", "--trap", "bad-utf8=9", "--trap", "crlf"],
                          ["--modules", "900", "--layout", "mixed-ndjson"]):
            first = self.generate(*arguments)
            self.assertEqual(first, self.generate(*arguments))
        self.assertNotEqual(first, self.generate(*arguments, "--seed", "2"))

    def test_realistic_mix(self):
        files = self.generate("--modules", "20000")
        audits = json.loads(files["audits.json"])[0]["results"]
        modules = json.loads(files["modules.json"])[0]["results"]
        self.assertEqual((len(audits), len(modules)), (40, 20000))
        self.assertEqual({module["status"] for module in modules}, STATUSES)
        self.assertEqual({module["audit_token"] for module in modules}, {audit["token"] for audit in audits})
        self.assertEqual(len({(module["audit_token"], module["module_id"]) for module in modules}), 20000)
        self.assertLess(abs(len(files["modules.json"]) / 20000 - 425), 10)
        self.assertGreater(len({module["technician_id"] for module in modules}), 3)
        self.assertIn("null", {module["physical_row"] for module in modules})
        for audit in audits:
            self.assertEqual(audit["total_modules"],
                             sum(module["audit_token"] == audit["token"] for module in modules))

    def test_size_by_audits_and_by_modules(self):
        files = self.generate("--audits", "3", "--modules-per-audit", "7")
        self.assertEqual(len(json.loads(files["modules.json"])[0]["results"]), 21)
        files = self.generate("--modules", "1001", "--modules-per-audit", "250")
        audits = json.loads(files["audits.json"])[0]["results"]
        self.assertEqual([audit["total_modules"] for audit in audits], [250, 250, 250, 250, 1])

    def test_shapes_hold_the_same_records(self):
        size = ["--modules", "300", "--modules-per-audit", "100", "--trap", "real-null"]
        wrangler = self.generate(*size)
        records = {name: json.loads(data)[0]["results"] for name, data in wrangler.items()}
        array = self.generate(*size[:4], "--shape", "array")
        self.assertEqual({name: json.loads(data) for name, data in array.items()}, records)
        results = self.generate(*size, "--shape", "results")
        self.assertEqual({name: json.loads(data)["results"] for name, data in results.items()}, records)
        lines = self.generate(*size[:4], "--shape", "ndjson")
        self.assertEqual({name.replace("ndjson", "json"): [json.loads(line) for line in data.splitlines()]
                          for name, data in lines.items()}, records)
        for data in (*array.values(), *results.values()):
            self.assertEqual(json.dumps(json.loads(data), indent=2, ensure_ascii=False) + "\n", data.decode())

    def test_layouts_hold_the_same_records(self):
        size = ["--modules", "300", "--modules-per-audit", "100"]
        pair = self.generate(*size)
        audits = json.loads(pair["audits.json"])[0]["results"]
        modules = json.loads(pair["modules.json"])[0]["results"]
        one = json.loads(self.generate(*size, "--layout", "one-file")["export.json"])
        self.assertEqual([each["results"] for each in one], [audits, modules])
        split = self.generate(*size, "--layout", "per-audit")
        self.assertEqual(list(split), ["audits.json"] + [f"modules-0000{n}.json" for n in (1, 2, 3)])
        self.assertEqual([module for name in list(split)[1:] for module in json.loads(split[name])[0]["results"]],
                         modules)
        mixed = self.generate(*size, "--layout", "mixed-ndjson", "--trap", "null-text")["export.ndjson"]
        lines = [json.loads(line) for line in mixed.splitlines()]
        self.assertEqual([line for line in lines if "token" in line], audits)
        self.assertEqual([line for line in lines if "module_id" in line], modules)
        self.assertEqual(["token" in line for line in lines[99:103]], [False, False, True, False])

    def test_memory_does_not_grow_with_the_export(self):
        def peak(modules):
            script = ("import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL);"
                      "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            out = self.folder / f"peak{modules}"
            return int(subprocess.run([sys.executable, "-c", script, GENERATOR, "--out", out, "--modules", str(modules)],
                                      capture_output=True, text=True, check=True).stdout)

        self.assertLess(peak(100000), peak(1000) + 4096)


class Revisions(GeneratorTest):
    """--revision R: what was there stays under its keys, some of it changed, and something is new."""

    def records(self, *arguments):
        """{token: audit}, {(token, module id): module}."""
        files = self.generate(*arguments)
        audits, modules = (json.loads(data)[0]["results"] for data in files.values())
        by_key = {(module["audit_token"], module["module_id"]): module for module in modules}
        self.assertEqual(len(by_key), len(modules))
        for records in (audits, modules):
            self.assertEqual(len({record["id"] for record in records}), len(records))
        for audit in audits:
            self.assertEqual(audit["total_modules"], sum(key[0] == audit["token"] for key in by_key))
        return {audit["token"]: audit for audit in audits}, by_key

    def test_zero_is_the_default(self):
        for arguments in ([], ["--modules", "900", "--trap", "bad-utf8=9"]):
            self.assertEqual(self.generate(*arguments), self.generate(*arguments, "--revision", "0"))

    def test_each_builds_on_the_one_before(self):
        for size in (["--audits", "2", "--modules-per-audit", "5"], ["--modules", "401", "--modules-per-audit", "100"],
                     ["--preset", "production"]):
            before_audits, before = self.records(*size)
            for revision in range(1, 7):
                arguments = [*size, "--revision", str(revision)]
                audits, modules = self.records(*arguments)
                self.assertEqual(self.generate(*arguments), self.generate(*arguments))
                self.assertEqual(set(before_audits) - set(audits), set())
                self.assertEqual(set(before) - set(modules), set())
                self.assertEqual(len(audits) - len(before_audits), 1 if revision % 2 == 0 else 0)
                self.assertGreater(len(modules), len(before))
                changed = [key for key in before if before[key] != modules[key]]
                self.assertLess(len(changed), len(before))
                self.assertTrue(any(before[key]["status"] != modules[key]["status"] for key in changed))
                for key in changed:
                    self.assertEqual(before[key]["id"], modules[key]["id"])
                    self.assertGreater(modules[key]["updated_at"], before[key]["updated_at"])
                self.assertTrue(any(before_audits[token]["updated_at"] < audits[token]["updated_at"] for token in before_audits))
                for token, audit in before_audits.items():
                    for field in ("id", "client_name", "created_at"):
                        self.assertEqual(audit[field], audits[token][field])
                before_audits, before = audits, modules

    def test_every_field_of_an_audit_that_may_change_does(self):
        before, _ = self.records("--audits", "40", "--modules-per-audit", "3")
        audits, modules = self.records("--audits", "40", "--modules-per-audit", "3", "--revision", "3")
        for field in ("project_name", "location", "plan_file", "status", "updated_at", "total_modules", "json_config"):
            self.assertTrue(any(audits[token][field] != before[token][field] for token in before), field)
        self.assertEqual({module["status"] for module in modules.values()}, STATUSES)

    def test_another_seed_edits_otherwise(self):
        size = ["--audits", "2", "--modules-per-audit", "50"]
        one = [self.generate(*size, "--revision", revision)["modules.json"] for revision in ("0", "1")]
        two = [self.generate(*size, "--revision", revision, "--seed", "2")["modules.json"] for revision in ("0", "1")]
        self.assertNotEqual(*[[old == new for old, new in zip(*map(bytes.splitlines, pair))] for pair in (one, two)])

    def test_layouts_and_traps_work_on_it(self):
        size = ["--modules", "300", "--modules-per-audit", "100", "--revision", "4"]
        audits, modules = self.records(*size)
        split = self.generate(*size, "--layout", "per-audit")
        self.assertEqual(list(split), ["audits.json"] + [f"modules-0000{n}.json" for n in (1, 2, 3, 4, 5)])
        self.assertEqual(sum(len(json.loads(split[name])[0]["results"]) for name in list(split)[1:]), len(modules))
        sets = json.loads(self.generate(*size, "--trap", "several-result-sets=4")["modules.json"])
        lengths = [len(each["results"]) for each in sets]
        self.assertEqual((len(lengths), sum(lengths)), (4, len(modules)))
        self.assertLessEqual(max(lengths) - min(lengths), 1)
        _, spoilt = self.records(*size, "--trap", "unknown-status=5")
        self.assertEqual(sum(module["status"] not in STATUSES for module in spoilt.values()), 5)

    def test_too_many(self):
        self.refused("--revision: at most 100", "--out", str(self.folder / "never"), "--revision", "101")
        self.refused('--revision: "x" is not a number', "--out", str(self.folder / "never"), "--revision", "x")


class Traps(GeneratorTest):
    def test_nulls(self):
        clean = self.modules()[1]
        self.assertFalse(any(value is None for module in clean for value in module.values()))
        real = self.modules("--trap", "real-null")[1]
        self.assertEqual([{key: None if value == "null" else value for key, value in module.items()}
                          for module in clean], real)
        # As --remote prints a database that holds such texts: both in one result set, the text in comments only.
        some = self.modules("--trap", "text-null=5")[1]
        self.assertEqual([{**module, "comment": None if module["comment"] == "null" else module["comment"]} for module in some], real)
        self.assertEqual([module["comment"] for module in some].count("null"), 5)
        every = self.modules("--trap", "text-null")[1]
        self.assertFalse(any(module["comment"] is None for module in every))
        self.assertTrue(any(module["technician_id"] is None for module in every))
        lines = b"".join(self.generate("--modules", "50", "--shape", "ndjson", "--trap", "null-text").values())
        self.assertEqual(lines.count(b":null"), 0)
        self.assertGreater(lines.count(b'"null"'), 3)

    def spoilt(self, trap):
        """(clean, spoilt) of the records that differ, three asked for."""
        clean = self.modules()[1]
        spoilt = self.modules("--trap", f"{trap}=3")[1]
        self.assertEqual(len(spoilt), len(clean))
        pairs = [pair for pair in zip(clean, spoilt) if pair[0] != pair[1]]
        self.assertEqual(len(pairs), 3)
        return pairs

    def test_integer_beyond_2_53(self):
        for _, module in self.spoilt("integer-2-53"):
            self.assertEqual(module["physical_row"], 2**53 + 2)

    def test_integer_beyond_int64(self):
        for _, module in self.spoilt("integer-beyond-int64"):
            self.assertEqual(module["physical_row"], 9223372036854776000)

    def test_unknown_status(self):
        self.assertEqual([module["status"] for _, module in self.spoilt("unknown-status")], ["OK", " ok", "broken"])

    def test_wrong_type(self):
        for clean, module in self.spoilt("wrong-type"):
            self.assertEqual(module["string_number"], str(clean["string_number"]))

    def test_missing_field(self):
        for clean, module in self.spoilt("missing-field"):
            self.assertEqual(set(clean) - set(module), {"position_in_string"})

    def test_extra_field(self):
        for clean, module in self.spoilt("extra-field"):
            self.assertEqual(set(module) - set(clean), {"gps"})

    def test_nul_character(self):
        for _, module in self.spoilt("nul-character"):
            self.assertEqual(module["comment"], "avant\0après")

    def test_orphan_module(self):
        for _, module in self.spoilt("orphan-module"):
            self.assertEqual(module["audit_token"], "00000000-0000-4000-8000-00000000dead")

    def test_bad_utf8(self):
        data = self.generate("--modules", "100", "--trap", "bad-utf8=3")["modules.json"]
        self.assertEqual(data.count(b"C\xe2ble coup\xe9"), 3)
        with self.assertRaises(UnicodeDecodeError):
            data.decode()

    def test_duplicate_key(self):
        data = self.generate("--modules", "100", "--trap", "duplicate-key=3")["modules.json"]
        self.assertEqual(data.count(b'"status": '), 103)
        twice = []
        json.loads(data, object_pairs_hook=lambda pairs: twice.append(len(pairs) != len(dict(pairs))))
        self.assertEqual(sum(twice), 3)

    def test_duplicate_module(self):
        modules = self.modules("--trap", "duplicate-module=3")[1]
        self.assertEqual(len(modules), 103)
        keys = collections.Counter((module["audit_token"], module["module_id"]) for module in modules)
        self.assertEqual(sorted(keys.values())[-4:], [1, 2, 2, 2])
        self.assertEqual(len({module["id"] for module in modules}), 103)

    def test_a_record_takes_one_trap(self):
        traps = ["unknown-status", "wrong-type", "missing-field", "extra-field", "orphan-module", "nul-character"]
        arguments = [word for trap in traps for word in ("--trap", f"{trap}=10")]
        clean, spoilt = self.modules()[1], self.modules(*arguments)[1]
        self.assertEqual(sum(pair[0] != pair[1] for pair in zip(clean, spoilt)), 60)
        # so many that every record takes one
        arguments = [word for trap, count in zip(traps, (1, 33, 33, 31, 1, 1)) for word in ("--trap", f"{trap}={count}")]
        spoilt = self.modules(*arguments)[1]
        self.assertEqual(sum(pair[0] != pair[1] for pair in zip(clean, spoilt)), 100)

    def test_bytes_around_the_json(self):
        clean = self.modules()[0]
        size = ["--audits", "2", "--modules-per-audit", "50"]
        self.assertEqual(self.generate(*size, "--trap", "bom")["modules.json"], b"\xef\xbb\xbf" + clean)
        self.assertEqual(self.generate(*size, "--trap", "crlf")["modules.json"], clean.replace(b"\n", b"\r\n"))
        self.assertEqual(self.generate(*size, "--trap", "no-final-newline")["modules.json"], clean[:-1])
        banner = self.generate(*size, "--trap", "banner")["modules.json"]
        self.assertTrue(banner.endswith(b"\n" + clean))
        self.assertTrue(banner.startswith("\n ⛅️ wrangler 4.40.0".encode()))
        for cut in (0, 1, 20000, len(clean) - 1):
            self.assertEqual(self.generate(*size, "--trap", f"truncated={cut}")["modules.json"], clean[:cut])

    def test_traps_of_the_envelope(self):
        clean = self.modules()[1]
        size = ["--audits", "2", "--modules-per-audit", "50"]
        unknown = json.loads(self.generate(*size, "--trap", "unknown-meta")["modules.json"])[0]
        self.assertEqual(list(unknown), ["results", "success", "meta", "finalBookmark"])
        self.assertEqual(set(unknown["meta"]) - set(META_KEYS), {"served_by_region", "timings"})
        self.assertEqual(unknown["results"], clean)
        failed = self.generate(*size, "--trap", "success-false")
        self.assertIs(json.loads(failed["modules.json"])[0]["success"], False)
        self.assertIs(json.loads(failed["audits.json"])[0]["success"], True)
        empty = json.loads(self.generate(*size, "--trap", "empty-results")["modules.json"])[0]
        self.assertEqual((empty["results"], empty["success"]), ([], True))
        null = json.loads(self.generate(*size, "--trap", "null-results")["modules.json"])[0]
        self.assertEqual((null["results"], null["success"]), (None, True))
        pseudo = json.loads(self.generate(*size, "--trap", "pseudo-row")["modules.json"])[0]["results"]
        self.assertEqual([list(row) for row in pseudo],
                         [["Total queries executed", "Rows read", "Rows written", "Database size (MB)"]])

    def test_failed_export_is_what_wrangler_prints(self):
        data = self.generate("--modules", "10", "--trap", "failed-export")["modules.json"]
        self.assertEqual(data, b'\n{\n  "error": {\n    "text": "no such table: modules: SQLITE_ERROR"\n  }\n}\n')

    def test_several_result_sets(self):
        clean = self.modules()[1]
        data = self.generate("--audits", "2", "--modules-per-audit", "50", "--trap", "several-result-sets=4")
        sets = json.loads(data["modules.json"])
        self.assertEqual([len(each["results"]) for each in sets], [25, 25, 25, 25])
        self.assertEqual([module for each in sets for module in each["results"]], clean)


class CommandLine(GeneratorTest):
    def test_help_names_every_trap(self):
        done = subprocess.run([GENERATOR, "--help"], capture_output=True, text=True, check=True)
        self.assertEqual(len(re.findall(r"^      [a-z0-9-]+", done.stdout, re.M)), 26)

    def test_version(self):
        done = subprocess.run([GENERATOR, "--version"], capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"^pvrelay-export-gen \d+\.\d+\.\d+\n$")

    def test_mistakes(self):
        out = ["--out", str(self.folder / "never")]
        self.refused("--out DIR is missing (try --help)")
        self.refused('--trap: unknown trap "nonsense" (try --help)', *out, "--trap", "nonsense")
        self.refused('--seed: "x" is not a number', *out, "--seed", "x")
        self.refused('--shape: unknown word "xml" (try --help)', *out, "--shape", "xml")
        self.refused("give --audits or --modules, not both", *out, "--audits", "1", "--modules", "1")
        self.refused("--preset production has a size of its own: leave out --audits, --modules, --modules-per-audit",
                     *out, "--preset", "production", "--audits", "1")
        self.refused("--trap truncated: needs a number, as in truncated=1000", *out, "--trap", "truncated")
        self.refused("--trap: more modules to spoil than the 10 there are", *out, "--modules", "10", "--trap",
                     "wrong-type=6", "--trap", "bad-utf8=5")
        for other in ("real-null", "text-null"):
            self.refused("--trap null-text and real-null or text-null exclude each other", *out, "--trap", "null-text", "--trap", other)
        self.refused("--layout one-file: the shape array has room for one stream only", *out, "--layout", "one-file",
                     "--shape", "array")
        self.assertFalse((self.folder / "never").exists())

    def test_unwritable_folder(self):
        (self.folder / "file").touch()
        done = subprocess.run([GENERATOR, "--out", self.folder / "file" / "x"], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (5, f"pvrelay-export-gen: {self.folder}/file/x: cannot make "
                                                             "the folder: Not a directory\n"))


if __name__ == "__main__":
    unittest.main()
