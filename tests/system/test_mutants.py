# SPDX-License-Identifier: MIT
"""Faults put into the transformer, the writer and the validator, one by one: the run ends with 4, and the proof names the place.

A mutant is one text replaced in one source file. That file is compiled as the build compiles it, linked before the libraries
so that it takes the place of the faultless one, and put beside links to the other programs.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pipeline.BIN.parent
sys.path.insert(0, str(ROOT / "tests/mutants"))

import table  # noqa: E402
import world  # noqa: E402

ONLY = os.environ.get("PVRELAY_MUTANT", "")
PROGRAMS = {"transformer": "pvrelay-transformer", "writer": "pvrelay-writer", "validator": "pvrelay-validator"}
OTHERS = ("pvrelay-reader", "pvrelay-transformer", "pvrelay-writer", "pvrelay-validator")

OWN_ROWS = """
INSERT INTO users (id, email, name, role) VALUES (70, 'k@hub.example', 'K. N''Diaye', 'admin');
INSERT INTO clients (id, name, notes) VALUES (50, 'Énergies du Sud', 'our best client');
INSERT INTO projects (id, client_id, name, site_address, notes) VALUES (30, 50, 'Ombrière', 'Sète', 'ours');
"""


def compile_command(source):
    """How the build compiles a source file of a program or of its library (tests compile some of them too)."""
    folder = source.split("/")[0]
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        output = entry.get("output") or re.search(r" -o (\S+)", entry["command"])[1]
        if pathlib.Path(entry["file"]).resolve() == ROOT / source and output.startswith(f"{folder}/CMakeFiles/"):
            return entry["directory"], shlex.split(entry["command"])
    raise AssertionError(f"compile_commands.json does not know {source}")


def link_command(program):
    done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "-s", f"bin/{program}"], capture_output=True, text=True, check=True)
    words = shlex.split(done.stdout)
    return [word for word in words if word not in (":", "&&")]


def mutate(mutant):
    text = (ROOT / mutant.file).read_text()
    if text.count(mutant.find) != 1:
        raise AssertionError(f"{mutant.name}: the text to replace stands {text.count(mutant.find)} times in {mutant.file}:\n{mutant.find}")
    return text.replace(mutant.find, mutant.replace)


def build(mutant, folder):
    """The folder with the programs, one of them with the fault."""
    (folder / "bin").mkdir(parents=True)
    program = PROGRAMS[mutant.file.split("/")[0]]
    source, output = folder / pathlib.Path(mutant.file).name, folder / "mutant.o"
    source.write_text(mutate(mutant))
    directory, command = compile_command(mutant.file)
    command = [str(source) if pathlib.Path(directory, word).resolve() == ROOT / mutant.file else word for word in command]
    command[command.index("-o") + 1] = str(output)
    run_tool(mutant, [*command, "-Wno-error", "-w", "-O0", "-g0"], directory)
    link = link_command(program)
    replaced = [word for word in link if word.endswith(f"/{pathlib.Path(mutant.file).name}.o")]
    link = [word for word in link if word not in replaced]
    link.insert(next(i for i, word in enumerate(link) if word.endswith(".o")), str(output))
    link[link.index("-o") + 1] = str(folder / "bin" / program)
    run_tool(mutant, link, BUILD)
    for other in OTHERS:
        if other != program:
            (folder / "bin" / other).symlink_to(pipeline.BIN / other)
    return folder / "bin"


def run_tool(mutant, command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{mutant.name} cannot be built: {shlex.join(map(str, command))}\n{done.stderr}")


class Mutants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = {"fresh": world.make(cls.root / "e0"), "edited": world.make(cls.root / "e1", edition=1),
                       "rejects": world.make(cls.root / "e2", rejects=True)}
        cls.exports["shared"] = cls.exports["changed"] = cls.exports["fresh"]
        cls.config = pipeline.write_config(cls.root / "small.json", cls.exports["fresh"], cls.root / "unused.db", cls.root / "unused",
                                           batch_bytes=16384, window_bytes=65536)
        cls.made = {"edited": cls.root / "edited.db", "shared": cls.root / "shared.db",
                    "changed": cls.root / "changed.db"}
        cls.run_in("base", cls.exports["fresh"], cls.made["edited"])
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", cls.made["shared"]], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(cls.made["shared"])) as db:
            db.executescript(OWN_ROWS)
        shutil.copy(cls.made["edited"], cls.made["changed"])
        with contextlib.closing(sqlite3.connect(cls.made["changed"])) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f'DROP TRIGGER "{name}"')
            db.execute("UPDATE el_modules SET comment = 'seen on site' WHERE id % 40 = 7")
            db.commit()

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    @classmethod
    def run_in(cls, name, exports, target, *options, environment=None, expect=0):
        return pipeline.run(exports, target, "--config", cls.config, "--run-dir", cls.root / f"d-{name}", *options,
                            environment=environment, expect=expect)

    def target(self, kind, name):
        target = self.root / f"{name}.db"
        if kind in self.made:
            shutil.copy(self.made[kind], target)
        return target

    def test_without_fault(self):
        """The worlds themselves: nothing is wrong with them."""
        for kind, expect in (("fresh", 0), ("edited", 0), ("rejects", 3), ("shared", 0), ("changed", 3)):
            with self.subTest(world=kind):
                target = self.target(kind, f"faultless-{kind}")
                self.run_in(f"faultless-{kind}", self.exports[kind], target, expect=expect)
                self.assertEqual(pipeline.query(target, "SELECT * FROM pvrelay_failure"), [])
                self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_reject"), [({"rejects": 5, "changed": 3}.get(kind, 0),)])
                pipeline.assert_accounted(self, target)

    def found(self, number, mutant):
        """What a run with the fault ends with, and the places its proof names."""
        programs = build(mutant, self.root / f"m{number}")
        target = self.target(mutant.world, f"m{number}")
        done = self.run_in(f"m{number}", self.exports[mutant.world], target, *mutant.options, expect=None,
                           environment={"PVRELAY_LIBEXECDIR": str(programs)})
        places = pipeline.query(target, "SELECT DISTINCT kind, table_name, column_name FROM pvrelay_failure"
                                " WHERE run = (SELECT max(run) FROM pvrelay_run) ORDER BY 1, 2, 3")
        return done, frozenset(places)

    def test_mutants(self):
        chosen = [(number, mutant) for number, mutant in enumerate(table.MUTANTS) if ONLY in mutant.name]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = [(mutant, pool.submit(self.found, number, mutant)) for number, mutant in chosen]
        for mutant, result in results:
            with self.subTest(mutant=mutant.name):
                done, places = result.result()
                self.assertEqual(done.returncode, 4, f"{done.stdout}\n{done.stderr}")
                self.assertEqual(sorted(places), sorted(mutant.named))

    def test_there_are_enough(self):
        self.assertGreaterEqual(len(table.MUTANTS), 15)
        self.assertEqual(len({mutant.name for mutant in table.MUTANTS}), len(table.MUTANTS))


if __name__ == "__main__":
    unittest.main()
