# SPDX-License-Identifier: MIT
"""The operator's command: its words, its supervision (with scripted daemons), and its reports (with the real ones)."""

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import unittest

import pipeline

PVRELAY = str(pipeline.BIN / "pvrelay")
ROOT = pathlib.Path(__file__).resolve().parents[2]
JALIBAT = "a4e19950-c73c-412c-be4d-699c9de1dde1"
LES_FORGES = "76e6eb36-8b49-4255-99d3-55fc1adfc1c9"

# A daemon that plays a script: STAGE.script holds a line of actions for each of its starts (the last one for all later ones).
FAKE = r'''#!%(python)s
import json, os, signal, sqlite3, sys, time
here = os.path.dirname(os.path.abspath(__file__))
config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
instance = sys.argv[sys.argv.index("--instance") + 1] if "--instance" in sys.argv else "1"
stage = os.path.basename(sys.argv[0])[len("pvrelay-"):] + ("-" + instance if "--instance" in sys.argv else "")

def log(text):
    with open(os.path.join(here, "log"), "a") as out:
        out.write(stage + " " + text + "\n")

def on_term(number, frame):
    log("term")
    if not ignore:
        os._exit(6)

ignore = False
signal.signal(signal.SIGTERM, on_term)
count_path = os.path.join(here, stage + ".count")
count = int(open(count_path).read()) if os.path.exists(count_path) else 0
open(count_path, "w").write(str(count + 1))
log("start own-group" if os.getpgrp() == os.getpid() else "start")
script = os.path.join(here, stage + ".script")
lines = open(script).read().splitlines() if os.path.exists(script) else ["wait"]
for action in lines[min(count, len(lines) - 1)].split("; "):
    word, _, rest = action.partition(" ")
    if word == "exit":
        os._exit(int(rest))
    elif word == "kill":
        os.kill(os.getpid(), int(rest))
    elif word == "say":
        os.write(2, (rest + "\n").encode())
    elif word == "print":
        os.write(1, (rest + "\n").encode())
    elif word == "log":
        log(rest)
    elif word == "ignore":
        ignore = True
    elif word == "await":  # until somebody has logged this line
        while rest not in open(os.path.join(here, "log")).read().splitlines():
            time.sleep(0.005)
    elif word == "finish":  # what a writer leaves behind: a run with this outcome
        db = sqlite3.connect(config["target"])
        db.executescript(open(os.path.join(here, "bookkeeping.sql")).read())
        db.execute("INSERT INTO pvrelay_run (id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at, ended_at,"
                   " seconds, outcome) VALUES (?, 'complete', 'el-to-hub', '0', 'null', '0', '2025-10-27 10:00:00',"
                   " '2025-10-27 10:00:01', 0.5, ?)", (config["run"], int(rest)))
        db.executescript(open(os.path.join(here, "rows.sql")).read())
        db.close()
    elif word == "wait":
        while True:
            signal.pause()
'''

ROWS = """
INSERT INTO pvrelay_source VALUES (1, 0, '/x/audits.json', 'audits', 100, 0, '0', 1, 2, 90);
INSERT INTO pvrelay_source VALUES (1, 1, '/x/modules.json', 'modules', 1000, 0, '0', 1, 10, 900);
INSERT INTO pvrelay_checkpoint (run, kind, source, first_ordinal, records, begin_offset, end_offset, digest, inserted, updated,
 unchanged, rejected, rows_inserted, rows_updated, committed_at, validated) VALUES
 (1, 'batch', 0, 0, 2, 0, 90, '0', 2, 0, 0, 0, 2, 0, '2025-10-27 10:00:00', 1),
 (1, 'batch', 1, 0, 6, 0, 500, '0', 3, 1, 1, 1, 4, 1, '2025-10-27 10:00:00', 1),
 (1, 'batch', 1, 6, 4, 500, 900, '0', 4, 0, 0, 0, 4, 0, '2025-10-27 10:00:00', 1),
 (1, 'finish', 2, 0, 0, 0, 0, '0', 0, 0, 0, 0, 0, 0, '2025-10-27 10:00:00', 1);
INSERT INTO pvrelay_finding VALUES (1, 'null_text', 'modules', 'comment', 9, 1, 0, NULL);
INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, "offset", length, reason, field, detail, raw, wrangler) VALUES
 (1, 2, 1, 'modules', 3, 300, 17, 'unknown_value', 'status', '''OK''', '{"status": "OK"}', 1);
"""


class Fakes:
    """A folder of scripted daemons, an export that is not looked at, a target."""

    def __init__(self, root):
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        for stage in ("reader", "transformer", "writer", "validator"):
            path = self.bin / f"pvrelay-{stage}"
            path.write_text(FAKE % {"python": sys.executable})
            path.chmod(0o755)
        (self.bin / "log").write_text("")
        (self.bin / "bookkeeping.sql").write_text((ROOT / "migrations/0002_pvrelay.sql").read_text())
        (self.bin / "rows.sql").write_text(ROWS)
        self.export = root / "export.json"
        self.export.write_text("[]")
        self.target = root / "hub.db"
        self.environment = {**os.environ, "PVRELAY_LIBEXECDIR": str(self.bin)}

    def script(self, stage, *starts):
        (self.bin / f"{stage}.script").write_text("\n".join(starts) + "\n")

    def command(self, *options):
        return [PVRELAY, "run", str(self.export), "--target", str(self.target), "--run-dir", str(self.root / "r"),
                "--progress", "none", *options]

    def run(self, *options):
        return subprocess.run(self.command(*options), capture_output=True, text=True, env=self.environment,
                              timeout=pipeline.DEADLINE)

    def start(self, *options, **more):
        return subprocess.Popen(self.command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, **more)

    def log(self):
        return (self.bin / "log").read_text().splitlines()

    def wait_for(self, *lines):
        pipeline.wait_until(lambda: set(lines) <= set(self.log()), "the fakes' " + ", ".join(lines))


def pvrelay(*arguments, environment=None):
    return subprocess.run([PVRELAY, *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE,
                          env={**os.environ, **(environment or {})})


class Words(unittest.TestCase):
    """Help, version, and what is said about a wrong command line."""

    def test_help_of_every_command(self):
        overview = pvrelay("help")
        self.assertEqual((overview.returncode, overview.stderr), (0, ""))
        commands = re.findall(r"^  (\S+) ", overview.stdout, re.M)
        self.assertEqual(commands, ["run", "manage", "verify", "inspect", "rejects", "retry-rejects", "status", "top", "checkpoints", "checkpoint",
                                    "rollback", "seal", "migrate", "lint", "help"])
        for command in commands[:-1]:
            done = pvrelay(command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith(f"Usage: pvrelay {command} "), done.stdout)
            self.assertEqual(pvrelay("help", command).stdout, done.stdout)
        self.assertEqual(pvrelay("--help").stdout, overview.stdout)

    def test_version(self):
        self.assertRegex(pvrelay("--version").stdout, r"\Apvrelay \d+\.\d+\.\d+\n\Z")

    def test_usage_errors(self):
        for arguments, text in (
                ((), "a command is missing; see `pvrelay help`"),
                (("fly",), 'there is no command "fly"; see `pvrelay help`'),
                (("help", "fly"), 'there is no command "fly"; see `pvrelay help`'),
                (("run", "--target", "x.db"), "no export is given; see `pvrelay help run`"),
                (("run", "/dev/null"), "--target DB is missing; see `pvrelay help run`"),
                (("run", "x", "--transformers", "0"),
                 "--transformers 0: a whole number from 1 to 64 is expected; see `pvrelay help run`"),
                (("run", "x", "--null-text", "nil"), "--null-text nil: auto, null or keep is expected; see `pvrelay help run`"),
                (("run", "x", "--progress"), "--progress: its value is missing; see `pvrelay help run`"),
                (("inspect",), "no file is given; see `pvrelay help inspect`"),
                (("rejects",), "--target DB is missing; see `pvrelay help rejects`"),
                (("rejects", "x"), '"x" is one word too many; see `pvrelay help rejects`'),
                (("retry-rejects",), "--target DB is missing; see `pvrelay help retry-rejects`"),
                (("status",), "--target DB, --run-dir FOLDER or --config FILE is missing; see `pvrelay help status`"),
                (("run", "/dev/null", "--target", "x.db", "--undo", "no"), "--undo no: on or off is expected; see `pvrelay help run`"),
                (("run", "/dev/null", "--target", "x.db", "--on-validation-failure", "ignore"),
                 "--on-validation-failure ignore: stop or rollback is expected; see `pvrelay help run`"),
                (("checkpoints",), "--target DB is missing; see `pvrelay help checkpoints`"),
                (("checkpoint", "--target", "x.db"), "NAME is missing; see `pvrelay help checkpoint`"),
                (("checkpoint", "x"), "--target DB is missing; see `pvrelay help checkpoint`"),
                (("rollback", "--to", "0"), "--target DB is missing; see `pvrelay help rollback`"),
                (("rollback", "--target", "x.db"), "--to POINT is missing; see `pvrelay help rollback`"),
                (("rollback", "--target", "x.db", "0"), '"0" is one word too many; see `pvrelay help rollback`'),
                (("seal",), "--target DB is missing; see `pvrelay help seal`"),
                (("seal", "--target", "x.db", "--run", "0"),
                 "--run 0: a whole number from 1 is expected; see `pvrelay help seal`"),
                (("migrate",), "--target DB is missing; see `pvrelay help migrate`"),
                (("lint", "a", "b"), '"b" is one word too many; see `pvrelay help lint`')):
            done = pvrelay(*arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", f"pvrelay: USAGE: {text}\n"))

    def test_words_that_contradict_each_other(self):
        with pipeline.folder() as root:
            export = root / "e.json"
            export.write_text("[]")
            settings = root / "c.json"
            settings.write_text(json.dumps({"undo": "off"}))
            for command in ("run", "retry-rejects"):
                for options, text in (
                        (("--undo", "off", "--on-validation-failure", "rollback"),
                         "--on-validation-failure rollback and --undo off: there would be nothing to roll back with"),
                        (("--undo", "off", "--on-reject-limit", "rollback", "--max-rejects", "1"),
                         "--on-reject-limit rollback and --undo off: there would be nothing to roll back with"),
                        (("--config", settings, "--on-validation-failure", "rollback"),
                         "--on-validation-failure rollback and --undo off: there would be nothing to roll back with"),
                        (("--on-reject-limit", "rollback"), "--on-reject-limit rollback needs a limit, --max-rejects N")):
                    operands = (export,) if command == "run" else ()
                    done = pvrelay(command, *operands, "--target", root / "t.db", "--run-dir", root / "r", *options)
                    self.assertEqual((done.returncode, done.stdout, done.stderr),
                                     (1, "", f"pvrelay: USAGE: {text}; see `pvrelay help {command}`\n"))
            self.assertEqual(sorted(p.name for p in root.iterdir()), ["c.json", "e.json"])

    def test_files_that_cannot_be_used(self):
        with pipeline.folder() as root:
            export = root / "e.json"
            export.write_text("[]")
            for arguments, code, text in (
                    (("run", root / "no.json", "--target", root / "t.db"), 2,
                     f"UNREADABLE: {root}/no.json: cannot be read: No such file or directory"),
                    (("run", root, "--target", root / "t.db"), 2,
                     f"UNREADABLE: {root}: is not a regular file; exports must be files that can be read again"),
                    (("run", export, "--target", root / "no" / "t.db"), 5,
                     f"TARGET: {root}/no/t.db: its folder cannot be used: No such file or directory"),
                    (("run", export, "--target", root), 5, f"TARGET: {root}: is not a file"),
                    (("run", export, "--target", export, "--run-dir", root / "r"), 5,
                     f"TARGET: {export}: file is not a database"),
                    (("run", export, "--target", root / "t.db", "--mapping", root / "no.json", "--run-dir", root / "r"), 1,
                     None),
                    (("rejects", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: there is no such file"),
                    (("retry-rejects", "--target", root / "t.db", "--run-dir", root / "r"), 5,
                     f"TARGET: {root}/t.db: there is no such file"),
                    (("checkpoints", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: there is no such file"),
                    (("checkpoint", "x", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: there is no such file"),
                    (("rollback", "--to", "0", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: there is no such file"),
                    (("seal", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: there is no such file"),
                    (("rollback", "--to", "0", "--target", export), 5, f"TARGET: {export}: file is not a database"),
                    (("checkpoints", "--target", export), 5, f"TARGET: {export}: file is not a database"),
                    (("status", "--target", root / "t.db"), 5, f"TARGET: {root}/t.db: No such file or directory")):
                done = pvrelay(*arguments)
                self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                if text is not None:
                    self.assertEqual(done.stderr, f"pvrelay: {text}\n")
            self.assertFalse((root / "t.db").exists())

    def test_lint(self):
        with pipeline.folder() as root:
            good = json.loads((ROOT / "mappings/el-to-hub.json").read_text())
            mapping = root / "m.json"
            mapping.write_text(json.dumps(good, indent=1))
            done = pvrelay("lint", mapping)
            self.assertEqual((done.returncode, done.stderr, done.stdout),
                             (0, "", f"{mapping}: ok: mapping el-to-hub, 2 streams, 7 rows, 3 value maps, 1 derived column\n"))
            good["streams"][0]["fields"]["token"]["type"] = "string"
            good["streams"][1]["key"] = ["nope"]
            mapping.write_text(json.dumps(good, indent=1))
            done = pvrelay("lint", mapping)
            self.assertEqual(done.returncode, 1)
            for line in done.stdout.splitlines():
                self.assertRegex(line, f"\\A{re.escape(str(mapping))}:[1-9][0-9]*: .")
            mistakes = len(done.stdout.splitlines())
            self.assertGreaterEqual(mistakes, 2)
            self.assertEqual(done.stderr, f"pvrelay: MAPPING: {mapping}: {mistakes} mistakes\n")
            export = root / "e.json"
            export.write_text("[]")
            run = pvrelay("run", export, "--target", root / "t.db", "--mapping", mapping, "--run-dir", root / "r")
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertEqual(run.stderr, done.stdout + done.stderr)

    def test_migrate(self):
        with pipeline.folder() as root:
            target = root / "t.db"
            done = pvrelay("migrate", "--target", target, "--list")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout.splitlines()[0], "target: empty")
            self.assertIn("pending  0001_unified_schema.sql", done.stdout.splitlines())
            self.assertFalse(target.exists())
            done = pvrelay("migrate", "--target", target)
            self.assertIn("applied  0002_pvrelay.sql", done.stdout.splitlines())
            self.assertIn("applied  0003_undo.sql", done.stdout.splitlines())
            done = pvrelay("migrate", "--target", target)
            self.assertEqual(done.stdout.splitlines()[:2], ["target: made by these migrations", "already  0001_unified_schema.sql"])


class Supervision(unittest.TestCase):
    """With scripted daemons: who is started, restarted, stopped, and what the operator is told."""

    def setUp(self):
        self.holder = pipeline.folder()
        self.fakes = Fakes(self.holder.__enter__())

    def tearDown(self):
        self.holder.__exit__(None, None, None)

    def test_a_hint_can_be_pasted(self):
        """Whether PATH knows pvrelay or not, and whatever the target is called."""
        target = self.fakes.root / "it's a hub.db"
        sqlite3.connect(target).close()
        for path in (os.environ["PATH"], os.environ["PATH"].removeprefix(f"{pipeline.BIN}:")):
            environment = {**os.environ, "PATH": path}
            done = subprocess.run([PVRELAY, "checkpoints", "--target", str(target)], capture_output=True, text=True, env=environment)
            self.assertEqual(done.returncode, 5, done.stderr)
            hint = done.stderr.split("`")[1]
            self.assertTrue(hint.startswith("pvrelay migrate" if path == os.environ["PATH"] else PVRELAY), hint)
            done = subprocess.run(["sh", "-c", hint + " --list"], capture_output=True, text=True, env=environment)
            self.assertEqual((done.returncode, done.stderr), (0, ""), hint)

    def test_the_final_table(self):
        self.fakes.script("writer", "finish 3; exit 3")
        done = self.fakes.run("--report", str(self.fakes.root / "report"))
        target = self.fakes.target
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout, f"""\
Run 1, mapping el-to-hub, into {target}

stream       read   written unchanged rejected validated    bytes seconds   rec/s
audits          2         2         0        0         2     90 B       -       -
modules        10         8         1        1         9    900 B       -       -
all            12        10         1        1        11    990 B   0.500      24

read = written + unchanged + rejected
  audits: 2 = 2 + 0 + 0, holds
  modules: 10 = 8 + 1 + 1, holds

Findings
  9 × modules.comment: the text "null" was taken for NULL

Rejects
  1 × unknown_value in modules.status: the value map does not know the value
  each one: pvrelay rejects --target {target}

Complete, but 1 of 12 records were rejected.
Mend a copy of the mapping, and try them again:
  cp -n {pipeline.BIN.resolve().parent}/share/pvrelay/mappings/el-to-hub.json my-mapping.json
  pvrelay retry-rejects --target {target} --mapping my-mapping.json
Or mend the exports, and replay them.
Look further: pvrelay inspect {target}; pvrelay status --target {target}
""")
        self.assertEqual(done.returncode, 3)
        report = json.loads((self.fakes.root / "report" / "report.json").read_text())
        self.assertEqual((report["report_version"], report["verdict"], report["undo"]), (1, "rejects", None))
        self.assertEqual(report["run"]["outcome"], 3)
        self.assertEqual(report["streams"][1],
                         {"stream": "modules", "exported": 10, "read": 10, "written": 8, "unchanged": 1, "rejected": 1,
                          "validated": 9, "bytes": 900, "seconds": None, "records_per_second": None, "balances": True})

    def test_the_profile_of_stages_that_publish_nothing(self):
        self.fakes.script("writer", "finish 0; exit 0")
        done = self.fakes.run("--profile")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout[done.stdout.index("\nstage  "):], r"""\A
stage        records  CPU s  CPU µs/record  rec/s at 100 % CPU  working s  awaiting input s  awaiting output s
reader             -  \d\.\d{3}              -                   -          -                 -                  -
transformer        -  \d\.\d{3}              -                   -          -                 -                  -
writer             -  \d\.\d{3}              -                   -          -                 -                  -
validator          -  \d\.\d{3}              -                   -          -                 -                  -

All stages together took [\d.]+ s of CPU: [\d.]+ of \d+ processors?\.
The run took [\d.]+ s\.
\Z""")

    def test_failures_are_shown_and_counted(self):
        rows = ROWS + "".join(
            "INSERT INTO pvrelay_failure (run, checkpoint, kind, stream, table_name, row_key, column_name, expected, stored, source,"
            f" \"offset\") VALUES (1, 2, 'mismatch', 'modules', 'el_modules', 'module_id=''S1-{i}''', 'severity_level', '2', '3', 1,"
            f" {i});" for i in range(12))
        (self.fakes.bin / "rows.sql").write_text(rows)
        self.fakes.script("writer", "finish 4; exit 4")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertIn("\nWhat is stored is not what was exported: 12\n"
                      "  mismatch: el_modules module_id='S1-0', column severity_level: expected 2, stored 3"
                      " (/x/modules.json, byte 0, checkpoint 2)\n", done.stdout)
        self.assertEqual(done.stdout.count("  mismatch: "), 10)
        self.assertIn("\nComplete, but not what was exported: do not use this target before the failures above are understood.\n",
                      done.stdout)

    def keep_undo(self, more):
        """Books that know undo: all four checkpoints of the fakes' run can be taken back."""
        (self.fakes.bin / "rows.sql").write_text(
            ROWS + (ROOT / "migrations/0003_undo.sql").read_text() +
            "INSERT INTO pvrelay_undo SELECT checkpoint, 0, x'' FROM pvrelay_checkpoint;"
            "INSERT INTO pvrelay_failure (run, kind, stream, table_name, row_key, column_name, expected, stored, source, \"offset\")"
            " VALUES (1, 'whole', '', 'el_modules', '', '', '10', '11', 0, 0);" + more)

    def test_after_a_failed_proof_the_way_back_is_shown(self):
        target = self.fakes.target
        hint = ("failures above are understood.\nTo put it back to where it was before this run:\n"
                f"  pvrelay rollback --target {target} --to start-of-run\nLook further: ")
        self.keep_undo("")
        self.fakes.script("writer", "finish 4; exit 4")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertIn(hint, done.stdout)
        target.unlink()
        self.keep_undo("DELETE FROM pvrelay_undo WHERE checkpoint = 2;")  # part of it cannot be taken back
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertIn("failures above are understood.\nLook further: ", done.stdout)

    def test_a_run_that_the_writer_took_back(self):
        target = self.fakes.target
        self.keep_undo("UPDATE pvrelay_run SET state = 'abandoned', rolled_back_at = '2025-10-27 10:00:02';"
                       "DELETE FROM pvrelay_undo;")
        self.fakes.script("writer", "finish 4; exit 4")
        done = self.fakes.run("--report", str(self.fakes.root / "report"))
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertTrue(done.stdout.endswith(f"""
Rejects
  1 × unknown_value in modules.status: the value map does not know the value
  each one: pvrelay rejects --target {target} --run 1

What is stored is not what was exported: 1
  whole: el_modules : expected 10, stored 11

Taken back: what was stored was not what was exported; the target is as it was before this run.
Look further: pvrelay inspect {target}; pvrelay status --target {target}
"""), done.stdout)
        report = json.loads((self.fakes.root / "report" / "report.json").read_text())["run"]
        self.assertEqual((report["state"], report["rolled_back_at"], report["outcome"]), ("rolled back", "2025-10-27 10:00:02", 4))
        status = pvrelay("status", "--target", target)
        self.assertEqual(status.stdout.splitlines()[1:], [
            "run 1  rolled back  2025-10-27 10:00:00 to 2025-10-27 10:00:01  0.500 s  replay, mapping el-to-hub  exit code 4",
            "  12 of 12 records (100.0 %): 10 written, 1 unchanged, 1 rejected; 11 validated",
            "  position: source 1, record 1, byte 0; 4 checkpoints, newest 4, 0 without verdict; 1 failures; 0 rejects open",
            "  rolled back on 2025-10-27 10:00:02: what it wrote was taken back"])
        (run,) = json.loads(pvrelay("status", "--target", target, "--json").stdout)["runs"]
        self.assertEqual((run["state"], run["rolled_back_at"], run["sealed_at"], run["rejects_open"]),
                         ("rolled back", "2025-10-27 10:00:02", None, 0))
        self.assertEqual(pvrelay("rejects", "--target", target).stdout, "no rejects; 1 settled since (--all lists them)\n")
        none = pvrelay("rejects", "--target", target, "--run", 77)
        self.assertEqual((none.returncode, none.stdout), (1, ""))
        self.assertIn("there is no run 77; the newest is ", none.stderr)
        listed = pvrelay("rejects", "--target", target, "--run", 1)
        self.assertEqual(listed.stdout, """\
reject 1, run 1 (rolled back): unknown_value in modules.status: 'OK'
  /x/modules.json, byte 300, record 4
  {"status": "OK"}
1 reject; the run was rolled back: retry-rejects leaves them alone
""")
        (reject,) = json.loads(pvrelay("rejects", "--target", target, "--all", "--json").stdout)["rejects"]
        self.assertTrue(reject["rolled_back"])
        self.assertIn("  run 1: replay rolled back, 2025-10-27 10:00:00: ", pvrelay("inspect", target).stdout)
        (inventory,) = json.loads(pvrelay("inspect", target, "--json").stdout)
        self.assertEqual(inventory["runs"][0]["state"], "rolled back")

    def test_a_run_that_was_taken_back_at_its_reject_limit(self):
        target = self.fakes.target
        self.keep_undo("UPDATE pvrelay_run SET state = 'abandoned', rolled_back_at = '2025-10-27 10:00:02';")
        self.fakes.script("writer", "finish 2; say <3>pvrelay-writer: REJECT_LIMIT: 1 records are rejected, 0 allowed; exit 2")
        done = self.fakes.run("--max-rejects", "0", "--on-reject-limit", "rollback")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (2, "", "pvrelay: run 1 was taken back: the target is as it was before it\n"
                                 f"pvrelay: its rejects are kept: pvrelay rejects --target {target} --run 1\n"
                                 "pvrelay: REJECT_LIMIT: 1 records are rejected, 0 allowed\n"))

    def test_books_without_undo_are_read(self):
        self.fakes.script("writer", "finish 4; exit 4")
        done = self.fakes.run("--report", str(self.fakes.root / "report"))
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertNotIn("rollback", done.stdout)
        self.assertIsNone(json.loads((self.fakes.root / "report" / "report.json").read_text())["run"]["rolled_back_at"])
        (run,) = json.loads(pvrelay("status", "--target", self.fakes.target, "--json").stdout)["runs"]
        self.assertEqual((run["state"], run["rolled_back_at"], run["sealed_at"], run["rejects_open"]), ("complete", None, None, 1))
        old = ("its books are older than undo: what was committed so far cannot be taken back; "
               f"`pvrelay migrate --target {self.fakes.target}` brings "
               "them up to date")
        for command in (("checkpoints",), ("rollback", "--to", "0"), ("seal",), ("checkpoint", "x", "--remove")):
            done = pvrelay(*command, "--target", self.fakes.target)
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (5, "", f"pvrelay: TARGET_SCHEMA: {self.fakes.target}: {old}\n"))

    def test_accounts_that_do_not_balance_are_no_success(self):
        (self.fakes.bin / "rows.sql").write_text(ROWS + "UPDATE pvrelay_checkpoint SET inserted = 1 WHERE checkpoint = 1;")
        self.fakes.script("writer", "finish 3; exit 3")
        done = self.fakes.run()
        self.assertEqual(done.returncode, 4)
        self.assertIn("  audits: 2 = 1 + 0 + 0, DOES NOT HOLD\n", done.stdout)
        self.assertEqual(done.stderr, "pvrelay: VALIDATION: the accounts of run 1 do not balance; keep the exports and this target, "
                                      "and report it\n")

    def test_the_dead_are_started_again(self):
        self.fakes.script("reader", "kill 9", "say <3>pvrelay-reader: INTERNAL: cracked; exit 70", "exit 6", "wait")
        self.fakes.script("writer", "kill 11", "wait")
        process = self.fakes.start()
        pipeline.wait_until(lambda: self.fakes.log().count("reader start own-group") == 4, "the reader's fourth start")
        pipeline.wait_until(lambda: self.fakes.log().count("writer start own-group") == 2, "the writer's second start")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual((process.returncode, out), (6, ""))
        lines = err.splitlines()
        self.assertEqual(sorted(lines[:4]),
                         ["pvrelay: pvrelay-reader died (by signal 9, Killed); it is started again",
                          "pvrelay: pvrelay-reader died (with exit code 6); it is started again",
                          "pvrelay: pvrelay-reader died (with exit code 70, INTERNAL: cracked); it is started again",
                          "pvrelay: pvrelay-writer died (by signal 11, Segmentation fault); it is started again"])
        self.assertEqual(lines[4:],
                         ["pvrelay: interrupted; what is begun is committed first (once more stops at once)",
                          "pvrelay: INTERRUPTED: interrupted; the same command continues where this one stopped"])
        self.assertEqual(self.fakes.log().count("transformer-1 start own-group"), 1)
        self.assertEqual(self.fakes.log().count("validator start own-group"), 1)

    def test_twenty_deaths_without_progress_are_the_end(self):
        self.fakes.script("validator", "kill 9")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stdout), (70, ""))
        lines = done.stderr.splitlines()
        self.assertEqual(lines[:-1], ["pvrelay: pvrelay-validator died (by signal 9, Killed); it is started again"] * 19)
        self.assertEqual(lines[-1], "pvrelay: INTERNAL: pvrelay-validator died 20 times in a row without any progress of the run, "
                                    "at last by signal 9, Killed; the same command tries again")
        for stage in ("reader", "transformer-1", "writer"):
            self.assertIn(f"{stage} term", self.fakes.log())

    def test_a_fatal_error_ends_the_run_and_is_told_once(self):
        self.fakes.script("reader", "await writer start own-group; await transformer-1 start own-group; await validator start own-group; "
                                    "say <4>pvrelay-reader: a warning; say <6>pvrelay-reader: chatter; "
                                    "say <3>pvrelay-reader: TRUNCATED: a.json, byte 12: ends early; exit 2")
        self.fakes.script("transformer-1", "say <5>pvrelay-transformer: the run stops: TRUNCATED: a.json, byte 12: ends early; wait")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (2, "", "pvrelay-reader: a warning\npvrelay: TRUNCATED: a.json, byte 12: ends early\n"))
        for stage in ("transformer-1", "writer", "validator"):
            self.assertIn(f"{stage} term", self.fakes.log())

    def test_too_many_rejects_is_no_outcome(self):
        self.fakes.script("writer", "say <3>pvrelay-writer: REJECT_LIMIT: 3 records are rejected, 2 allowed; exit 2")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (2, "", "pvrelay: REJECT_LIMIT: 3 records are rejected, 2 allowed\n"))

    def test_a_silent_failure_is_named(self):
        self.fakes.script("writer", "exit 5")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr),
                         (70, "pvrelay: INTERNAL: pvrelay-writer ended with exit code 5 and did not say why\n"))

    def test_another_daemons_error_is_not_lost(self):
        self.fakes.script("validator", "await writer ready; say <3>pvrelay-validator: TARGET: cannot be read; exit 5")
        self.fakes.script("writer", "say <3>pvrelay-writer: TARGET_FULL: no room; log ready; wait")
        done = self.fakes.run()
        self.assertEqual(done.returncode, 5)
        self.assertEqual(done.stderr.splitlines(), ["pvrelay-writer: TARGET_FULL: no room", "pvrelay: TARGET: cannot be read"])

    def test_the_second_ctrl_c_kills(self):
        self.fakes.script("writer", "ignore; say <4>ready; wait")
        process = self.fakes.start()
        os.set_blocking(process.stderr.fileno(), True)
        self.assertEqual(process.stderr.readline(), "ready\n")
        self.fakes.wait_for("reader start own-group", "transformer-1 start own-group", "validator start own-group")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stderr.readline(),
                         "pvrelay: interrupted; what is begun is committed first (once more stops at once)\n")
        self.fakes.wait_for("writer term")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual((process.returncode, out, err),
                         (6, "", "pvrelay: stopping at once\n"
                                 "pvrelay: INTERRUPTED: interrupted; the same command continues where this one stopped\n"))

    def test_complete_while_interrupted_is_complete(self):
        (self.fakes.bin / "rows.sql").write_text(
            ROWS.split("INSERT INTO pvrelay_finding")[0] + "UPDATE pvrelay_checkpoint SET inserted = 4, rejected = 0 WHERE checkpoint = 2;")
        self.fakes.script("writer", "ignore; log ignoring; await writer term; finish 0; exit 0")
        process = self.fakes.start()
        self.fakes.wait_for("reader start own-group", "writer ignoring", "transformer-1 start own-group",
                            "validator start own-group")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("Complete: all 12 records are in the target, and each was proved against its export.\n", out)

    def test_daemons_of_a_killed_pvrelay_drain(self):
        process = self.fakes.start("--transformers", "2")
        stages = ("reader", "transformer-1", "transformer-2", "writer", "validator")
        self.fakes.wait_for(*(f"{stage} start own-group" for stage in stages))
        process.kill()
        process.communicate(timeout=pipeline.DEADLINE)
        self.fakes.wait_for(*(f"{stage} term" for stage in stages))

    def test_the_rest_is_told_to_go_when_the_writer_has_left(self):
        self.fakes.script("reader", "exit 0")
        self.fakes.script("writer", "await reader start own-group; await validator start own-group; await transformer-1 start own-group; "
                                    "finish 3; exit 3")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertEqual(self.fakes.log().count("reader start own-group"), 1)
        self.assertIn("transformer-1 term", self.fakes.log())
        self.assertIn("validator term", self.fakes.log())

    def test_a_missing_program(self):
        (self.fakes.bin / "pvrelay-writer").unlink()
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"pvrelay: CONFIG: {self.fakes.bin}/pvrelay-writer: cannot be run: No such file or directory; "
                             "pvrelay and its daemons belong in one folder\n"))

    def test_what_daemons_print_stays_out_of_the_result(self):
        self.fakes.script("reader", "print noise; say <6>detail; wait")
        self.fakes.script("writer", "await reader start own-group; finish 3; exit 3")
        done = self.fakes.run("--verbose")
        self.assertEqual(done.returncode, 3)
        self.assertTrue(done.stdout.startswith("Run 1, "))
        self.assertEqual(done.stderr, "noise\ndetail\n")

    def test_the_configuration_for_the_daemons(self):
        self.fakes.script("writer", "finish 3; exit 3")
        self.fakes.run("--transformers", "3", "--null-text", "keep", "--max-rejects", "9", "--restart", "--on-reject-limit", "rollback",
                       "--on-validation-failure=rollback")
        config = json.loads((self.fakes.root / "r" / "config.json").read_text())
        self.assertEqual({key: config[key] for key in ("target", "sources", "transformers", "null_text", "max_rejects", "restart",
                                                       "retries_through", "run_dir", "undo", "on_reject_limit",
                                                       "on_validation_failure")},
                         {"target": str(self.fakes.target), "sources": [str(self.fakes.export)], "transformers": 3,
                          "null_text": "keep", "max_rejects": 9, "restart": True, "retries_through": 0,
                          "run_dir": str(self.fakes.root / "r"), "undo": "on", "on_reject_limit": "rollback",
                          "on_validation_failure": "rollback"})
        self.assertRegex(config["run"], r"\A[0-9a-f]{8}-[0-9a-f]{4}-4")
        self.fakes.run("--undo", "off")
        config = json.loads((self.fakes.root / "r" / "config.json").read_text())
        self.assertEqual([config[key] for key in ("undo", "on_reject_limit", "on_validation_failure")], ["off", "stop", "stop"])

    def test_options_override_the_configuration_file(self):
        config = self.fakes.root / "c.json"
        config.write_text(json.dumps({"target": "other.db", "sources": ["export.json"], "transformers": 2, "max_rejects": 4}))
        self.fakes.script("writer", "finish 3; exit 3")
        done = subprocess.run([PVRELAY, "run", "--config", str(config), "--target", str(self.fakes.target), "--run-dir",
                               str(self.fakes.root / "r"), "--max-rejects", "5", "--progress", "none"], capture_output=True, text=True,
                              env=self.fakes.environment, timeout=pipeline.DEADLINE)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        saved = json.loads((self.fakes.root / "r" / "config.json").read_text())
        self.assertEqual((saved["target"], saved["sources"], saved["transformers"], saved["max_rejects"]),
                         (str(self.fakes.target), [str(self.fakes.export)], 2, 5))

    def test_what_was_stopped_is_no_reason(self):
        """Daemons that we stop because one of them has failed say that they were interrupted: that is not why the run failed."""
        self.fakes.script("reader", "say <3>pvrelay-reader: INTERRUPTED: a.json: interrupted at byte 7 of 9, the same command begins anew; log said; wait")
        self.fakes.script("writer", "await reader said; say <3>pvrelay-writer: TARGET: stop; exit 5")
        done = self.fakes.run()
        self.assertEqual((done.returncode, done.stderr), (5, "pvrelay: TARGET: stop\n"))

    def test_an_unfinished_run_goes_on_under_its_id(self):
        identity = "11111111-2222-4333-8444-555555555555"
        with contextlib.closing(sqlite3.connect(self.fakes.target)) as db:
            db.executescript((ROOT / "migrations/0002_pvrelay.sql").read_text())
            db.execute("INSERT INTO pvrelay_run (id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
                       " VALUES (?, 'streaming', 'el-to-hub', '0', 'null', '0', '2025-10-27 10:00:00')", (identity,))
            db.executemany("INSERT INTO pvrelay_source VALUES (1, ?, ?, 'audits', 1, 1, '0', 1, 1, 1)",
                           [(0, "/x/my audits.json"), (1, "/x/my audits.json"), (2, "/x/m.json")])
            db.commit()
        self.fakes.script("writer", "say <3>pvrelay-writer: TARGET: stop; exit 5")
        saved = lambda: json.loads((self.fakes.root / "r" / "config.json").read_text())["run"]
        done = self.fakes.run()
        self.assertEqual(done.stderr, "pvrelay: 0 of 3 records are committed, 0 of them rejected; 0 validated\npvrelay: TARGET: stop\n")
        self.assertEqual(saved(), identity)
        self.fakes.run("--restart")
        self.assertNotEqual(saved(), identity)
        done = pvrelay("retry-rejects", "--target", self.fakes.target, "--run-dir", self.fakes.root / "r")
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"pvrelay: UNFINISHED: {self.fakes.target}: run 1 (a replay) is not finished; finish it with "
                             f"`pvrelay run '/x/my audits.json' /x/m.json --target {self.fakes.target}`, or give it up with --restart\n"))

    def test_two_supervisors_do_not_meet(self):
        first = self.fakes.start()
        self.fakes.wait_for("writer start own-group")
        second = self.fakes.start()
        first_lock = pipeline.wait_until((self.fakes.root / "r" / "run.lock").read_text, "the lock")
        self.assertEqual(int(first_lock), first.pid)
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=pipeline.DEADLINE)
        pipeline.wait_until(lambda: self.fakes.log().count("writer start own-group") == 2, "the second supervisor's writer")
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual((first.returncode, second.returncode), (6, 6))


class Terminal(unittest.TestCase):
    """Progress on a terminal."""

    def test_the_table_is_redrawn_and_taken_away(self):
        with pipeline.folder() as root:
            fakes = Fakes(root)
            fakes.script("writer", "await go; finish 3; exit 3")
            master, slave = pty.openpty()
            command = [word for word in fakes.command() if word not in ("--progress", "none")]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True,
                                       env={**fakes.environment, "TERM": "xterm", "NO_COLOR": "1"})
            os.close(slave)
            shown = b""
            while shown.count(b"starting [") < 3:
                self.assertTrue(select.select([master], [], [], pipeline.DEADLINE)[0])
                shown += os.read(master, 65536)
            with open(fakes.bin / "log", "a") as log:
                log.write("go\n")
            out, _ = process.communicate(timeout=pipeline.DEADLINE)
            with contextlib.suppress(OSError):
                while True:
                    shown += os.read(master, 65536)
            os.close(master)
            self.assertEqual(process.returncode, 3)
            self.assertTrue(out.startswith("Run 1, "))
            self.assertIn(b"\x1b[6A\r\x1b[Jstage  ", shown)
            self.assertTrue(shown.endswith(b"\x1b[6A\r\x1b[J"), shown[-200:])
            self.assertNotIn(b"\x1b[3", shown)


class Reports(unittest.TestCase):
    """inspect, rejects, retry-rejects, status: with the real daemons."""

    def test_inspect_exports_and_database(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "e", "--preset", "production")
            done = pvrelay("inspect", *exports, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            (inventory,) = json.loads(done.stdout)
            parts = {part["name"]: part for part in inventory["parts"]}
            self.assertEqual((parts["audits"]["records"], parts["modules"]["records"]), (2, 462))
            (status,) = parts["modules"]["distributions"]
            self.assertEqual([(v["value"], v["count"], round(v["percent"], 1)) for v in status["values"]],
                             [("dead", 182, 39.4), ("inequality", 135, 29.2), ("microcracks", 87, 18.8), ("ok", 58, 12.6)])
            self.assertEqual({g["group"]: (g["label"], g["records"]) for g in status["groups"]},
                             {JALIBAT: ("JALIBAT", 242), LES_FORGES: ("LES FORGES", 220)})
            self.assertIn('459 × modules.comment: the text "null" stands for NULL', inventory["findings"])
            self.assertIn(f"JALIBAT ({JALIBAT}) declares 11 × 22 modules, there are 10 × 24 to 26", inventory["findings"])
            text = pvrelay("inspect", *exports).stdout
            self.assertIn(f"    JALIBAT ({JALIBAT}), 242: dead: 182 (75.2 %), ok: 58 (24.0 %), microcracks: 2 (0.8 %)\n", text)
            target = root / "hub.db"
            pipeline.run(exports, target)
            before = target.read_bytes()
            (hub,) = json.loads(pvrelay("inspect", target, "--json").stdout)
            parts = {part["name"]: part for part in hub["parts"]}
            self.assertEqual({name: part["records"] for name, part in parts.items()},
                             {"users": 1, "clients": 2, "projects": 2, "interventions": 2, "el_audits": 2, "el_modules": 462})
            defects = {d["field"]: d for d in parts["el_modules"]["distributions"]}
            self.assertEqual([(v["value"], v["count"]) for v in defects["defect_type"]["values"]],
                             [("dead_module", 182), ("luminescence_inequality", 135), ("microcrack", 87), ("none", 58)])
            self.assertEqual({g["label"]: g["records"] for g in defects["severity_level"]["groups"]},
                             {"JALIBAT": 242, "LES FORGES": 220})
            self.assertEqual([(run["state"], run["records"], run["outcome"]) for run in hub["runs"]], [("complete", 464, 0)])
            self.assertEqual(target.read_bytes(), before)
            self.assertEqual(sorted(p.name for p in root.iterdir()), ["e", "hub.db"])

    def test_inspect_a_legacy_database_and_another(self):
        with pipeline.folder() as root:
            legacy, other = root / "legacy.sqlite", root / "other.db"
            with contextlib.closing(sqlite3.connect(legacy)) as db:
                db.executescript("CREATE TABLE audits (token, project_name, client_name, status);"
                                 "CREATE TABLE modules (audit_token, module_id, string_number, status);"
                                 "INSERT INTO audits VALUES ('t1', 'P 1', 'C', 'created');"
                                 "INSERT INTO modules VALUES ('t1', 'a', 1, 'ok'), ('t1', 'b', 1, 'dead'), ('t1', 'c', 2, NULL);")
            with contextlib.closing(sqlite3.connect(other)) as db:
                db.executescript("CREATE TABLE things (a); INSERT INTO things VALUES (1);")
            done = pvrelay("inspect", legacy, other)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("\nmodules: 3\n  status\n    all: (null): 1 (33.3 %), dead: 1 (33.3 %), ok: 1 (33.3 %)\n"
                          "    P 1 (t1), 3: (null): 1 (33.3 %), dead: 1 (33.3 %), ok: 1 (33.3 %)\n", done.stdout)
            self.assertIn("\nthings: 1\n", done.stdout)
            self.assertIn(f"  {other} holds neither the tables that the mapping writes nor those of its streams\n", done.stdout)

    def test_inspect_goes_on_after_a_file_it_cannot_take(self):
        with pipeline.folder() as root:
            audits, modules = pipeline.generate(root / "e", "--preset", "production")
            bad = root / "bad.json"
            bad.write_bytes(modules.read_bytes()[:30000])
            done = pvrelay("inspect", bad, root / "no.json", audits)
            self.assertEqual(done.returncode, 2)
            first, last = done.stderr.splitlines()
            self.assertTrue(first.startswith(f"pvrelay: UNREADABLE: {root}/no.json"), done.stderr)
            self.assertTrue(last.startswith(f"pvrelay: TRUNCATED: {bad}"), done.stderr)
            self.assertIn("\naudits: 2\n", done.stdout)

    def test_rejects_and_their_retry(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "e", "--preset", "production", "--trap", "unknown-status=2", "--trap", "bad-utf8=1")
            target = root / "hub.db"
            self.assertEqual(pvrelay("rejects", "--target", exports[0]).returncode, 5)
            pipeline.run(exports, target, expect=3)
            rejects = json.loads(pvrelay("rejects", "--target", target, "--json").stdout)["rejects"]
            self.assertEqual(sorted(r["reason"] for r in rejects), ["bad_utf8", "unknown_value", "unknown_value"])
            content = exports[1].read_bytes()
            words = set()
            for reject in rejects:
                raw = reject["raw"].encode() if reject["raw"] is not None else bytes.fromhex(reject["raw_hex"])
                self.assertEqual(content[reject["offset"]:reject["offset"] + reject["length"]], raw)
                self.assertEqual((reject["path"], reject["stream"], reject["retried_by"]), (str(exports[1]), "modules", None))
                if reject["reason"] == "unknown_value":
                    self.assertEqual(reject["field"], "status")
                    words.add(json.loads(raw)["status"])
            listed = pvrelay("rejects", "--target", target)
            self.assertEqual((listed.returncode, listed.stdout.splitlines()[-1]), (0, "3 rejects"))
            self.assertRegex(listed.stdout, r"(?m)^reject \d+, run 1: unknown_value in modules\.status: '")
            mapping = json.loads((ROOT / "mappings/el-to-hub.json").read_text())
            for word in words:
                mapping["value_maps"]["defect_type"][word] = "none"
                mapping["value_maps"]["severity_level"][word] = 0
            (root / "m.json").write_text(json.dumps(mapping))
            retry = pvrelay("retry-rejects", "--target", target, "--mapping", root / "m.json", "--progress", "none")
            self.assertEqual(retry.returncode, 3, retry.stderr)
            self.assertEqual(retry.stdout.splitlines()[-1], "Rejects tried again: 3; now in: 2; rejected again: 1")
            self.assertEqual(pvrelay("rejects", "--target", target).stdout.splitlines()[-1],
                             "1 reject; 3 settled since (--all lists them)")
            self.assertEqual(pvrelay("rejects", "--target", target, "--run", 1).stdout,
                             "no rejects; 3 settled since (--all lists them)\n")
            everything = json.loads(pvrelay("rejects", "--target", target, "--all", "--json").stdout)["rejects"]
            self.assertEqual([r["retried_by"] for r in everything], [2, 2, 2, None])
            self.assertEqual(pipeline.query(target, "SELECT count(*) FROM el_modules"), [(461,)])

    def test_modules_alone(self):
        """Without the audits that they refer to."""
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "e", "--preset", "production")
            done = pipeline.run([exports[1]], root / "hub.db", "--report", str(root / "report"), expect=3)
            again = pipeline.run(exports, root / "other.db")
            self.assertIn("no audits were given", (root / "report" / "report.md").read_text())
        self.assertNotIn("were given", again.stdout)
        self.assertIn("\n  no audits were given: the rows referred to are neither in the exports nor in the target\n", done.stdout)

    def test_nothing_to_retry(self):
        with pipeline.folder() as root:
            target = root / "hub.db"
            pipeline.run(pipeline.generate(root / "e", "--preset", "production"), target)
            done = pvrelay("retry-rejects", "--target", target)
            self.assertEqual((done.returncode, done.stderr, done.stdout),
                             (0, "", f"{target}: nothing to try again: no complete run has rejects that are open\n"))

    def test_status(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "e", "--modules", 60000)
            target = root / "hub.db"
            pipeline.run(pipeline.generate(root / "before", "--preset", "production"), target, "--run-dir", root / "r")
            process = subprocess.Popen(pipeline.run_command(exports, target, "--run-dir", root / "r"), stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)

            def live():
                done = pvrelay("status", "--run-dir", root / "r", "--json")
                status = json.loads(done.stdout) if done.returncode == 0 else None
                if not (status and status["stages"] and all(stage["up"] for stage in status["stages"]) and status["progress"]):
                    return None
                run = status["runs"][-1]
                return status if run["number"] == 2 and run["state"] == "streaming" and run["records"] > 0 else None

            status = pipeline.wait_until(live, "all stages to answer")
            page = (ROOT / "docs/man/pvrelay.1").read_text()
            told = set(re.findall(r"[a-z_]+", page[page.index("\n.It Cm status\n"):page.index("\n.It Cm top\n")]))
            self.assertLessEqual({"progress", "runs", "stages", "restarts", *status, *status["progress"], *status["runs"][-1],
                                  *status["runs"][-1]["position"], *status["stages"][0]}, told)
            self.assertGreater(status["runs"][-1]["seconds"], 0)
            self.assertEqual([stage["restarts"] for stage in status["stages"]], [0] * 4)  # those of the run before do not count
            self.assertEqual([(s["stage"], s["instance"]) for s in status["stages"]],
                             [("reader", 1), ("transformer", 1), ("writer", 1), ("validator", 1)])
            self.assertEqual(len(status["stages"][0]["counters"]["rejects"]), 16)
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0, process.communicate())
            process.communicate()
            status = json.loads(pvrelay("status", "--run-dir", root / "r", "--json").stdout)
            self.assertEqual([s["up"] for s in status["stages"]], [False] * 4)
            run = status["runs"][1]
            self.assertEqual((run["state"], run["outcome"], run["records"], run["validated"], run["unvalidated"]),
                             ("complete", 0, run["total"], run["total"], 0))
            text = pvrelay("status", "--target", target).stdout
            self.assertRegex(text, r"\Atarget .*\nrun 1  complete  ")
            self.assertNotIn("stage ", text)

    def test_interrupted_and_continued(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "e", "--modules", 100000)
            target = root / "hub.db"
            process = subprocess.Popen(pipeline.run_command(exports, target), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

            def committed():
                with contextlib.suppress(sqlite3.Error):
                    return pipeline.query(target, "SELECT count(*) FROM pvrelay_checkpoint")[0][0]

            pipeline.wait_until(committed, "a first commit")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=pipeline.DEADLINE)
            self.assertEqual((process.returncode, out), (6, ""))
            self.assertRegex(err, r"\Apvrelay: interrupted; what is begun is committed first \(once more stops at once\)\n"
                                  r"pvrelay: [\d,]+ of [\d,]+ records are committed, [\d,]+ of them rejected; [\d,]+ validated\n"
                                  r"pvrelay: INTERRUPTED: interrupted; the same command continues where this one stopped\n\Z")
            done = pipeline.run(exports, target)
            self.assertTrue(done.stdout.startswith("Run 1, "))
            self.assertEqual(pipeline.query(target, "SELECT count(*) FROM el_modules"), [(100000,)])


if __name__ == "__main__":
    unittest.main()
