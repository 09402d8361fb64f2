# SPDX-License-Identifier: MIT
"""The README's day with pvrelay, command by command, as it stands there."""

import json
import os
import pathlib
import re
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]

# How each command of the day must end, and what its output must tell. A command of the README that is not here fails the test.
DAY = [
    ("./run build", 0, ""),
    ("export PATH=", 0, ""),
    ("mkdir ", 0, ""),
    ("cd ", 0, ""),
    ("pvrelay-export-gen ", 0, "modules.json"),
    ("pvrelay inspect", 0, "modules"),
    ("pvrelay run", 3, "rejected"),
    ("pvrelay rejects", 0, "unknown_value"),
    ("cp ", 0, ""),
    ("sed ", 0, ""),
    ("pvrelay lint", 0, "ok"),
    ("pvrelay retry-rejects", 0, ""),
    ("pvrelay verify", 0, "The target holds what was exported"),
    ("pvrelay status", 0, "complete"),
]
# Lines that are not run here: they make the package, need the whole system and its systemd (test_managed runs the units), or run all tests.
COMMAND = re.compile(r"(\./run|cd|cp|sed|mkdir|export|pvrelay(-[a-z-]+)?|sqlite3|apt-get|install|systemctl|man|wrangler|curl) ")
ELSEWHERE = ("./run demo", "./run test", "./run package", "apt-get install ", "install ", "systemctl ")


def settled(text):
    """What differs from run to run (times, sizes, shares) made the same, with the width of columns kept."""
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "YYYY-MM-DD", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)
    text = re.sub(r"\b\d\d-\d\d HH:MM:SS", "MM-DD HH:MM:SS", text)
    text = re.sub(r"(\(| ) *[\d.]+ (?:B|KB|MB|GB)\b", r"\1SIZE", text)
    return re.sub(r"\b[\d.]+ % of the database", "N % of the database", text)


def commands(title):
    return [line[4:] for line in section(title).splitlines() if line.startswith("    ")]


def section(title):
    return re.search(rf"^## {title}\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S).group(1)


def session(title):
    """The commands of a section, each with the output that is shown below it, after a line of text; None: none is shown."""
    found = []
    for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", section(title), re.M):
        lines = [line[4:] for line in block.splitlines()]
        if COMMAND.match(lines[0]):
            found += [(line, None) for line in lines]
        else:
            found[-1] = (found[-1][0], "\n".join(lines).rstrip("\n") + "\n")
    return found


class Shell:
    """A shell in a clone that was built: folder and environment are those that the commands before have left."""

    def __init__(self, root):
        self.root = root
        (root / "build/demo").mkdir(parents=True)
        for name in ("bin", "share"):
            (root / "build" / name).symlink_to(pipeline.BIN.parent / name)
        (root / "run").symlink_to("/bin/true")  # ./run build: it was
        environment = {**os.environ, "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(root)}
        (root / "state").write_text(subprocess.run(["sh", "-c", "export -p"], env=environment, cwd=root, check=True, text=True,
                                                   capture_output=True).stdout + f"cd '{root}'\n")

    def __call__(self, command):
        state = self.root / "state"
        script = f". '{state}'\n{command}\ncode=$?\n{{ export -p; echo \"cd '$PWD'\"; }} >'{state}'\nexit $code\n"
        return subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=pipeline.DEADLINE)


class Readme(unittest.TestCase):
    def test_in_order(self):
        """Each block as it stands there, in one shell: how every command ends, and what is shown of its output, but for times and sizes."""
        with pipeline.folder() as root:
            shell = Shell(root)
            self.day(shell, root / "build/day/hub.db")
            self.going_back(shell, root / "build/going-back/hub.db")
            back = [command for command in commands("A managed run") if not command.startswith(ELSEWHERE)]
            self.assertEqual(back, ["cd ../.."])
            pipeline.generate(root / "build/demo", "--preset", "production")
            done = shell(back[0] + "; ls build/demo/prod_export_*.json")
            self.assertEqual((done.returncode, len(done.stdout.split())), (0, 2), done.stdout)

    def day(self, shell, target):
        found = commands("A day with pvrelay")
        self.assertEqual(len(found), len(DAY), found)
        for command, (start, exit_code, told) in zip(found, DAY):
            self.assertTrue(command.startswith(start), f"{command} instead of {start}")
            done = shell(command)
            self.assertEqual(done.returncode, exit_code, f"{command}: {done.stdout}")
            self.assertIn(told, done.stdout, command)
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM el_modules"), [(2000,)])
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_reject WHERE retried_by IS NULL"), [(0,)])

    def going_back(self, shell, target):
        codes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]
        dumps = {}
        found = session("Going back")
        self.assertEqual([command.split()[1] for command, output in found if command.startswith("pvrelay ")],
                         ["run", "checkpoint", "run", "checkpoints", "rollback", "rollback", "seal"])
        self.assertEqual([output is not None for command, output in found],
                         [False, False, False, False, False, False, False, True, False, True, False, True, True])
        for (command, output), code in zip(found, codes):
            done = shell(command)
            self.assertEqual(done.returncode, code, f"{command}: {done.stdout}")
            if output is not None:
                self.assertEqual(settled(done.stdout), settled(output), command)
            if command.startswith("pvrelay run"):
                dumps[command.split()[2]] = pipeline.dump(target)
        now, then = pipeline.dump(target), dumps["october/*.json"]
        self.assertEqual(now["interventions"].pop()[3:5], (b"thermique", b"2025-11-20"))  # theirs, and the id that it took
        now["sqlite_sequence"] = [row for row in now["sqlite_sequence"] if row[0] != b"interventions"]
        then["sqlite_sequence"] = [row for row in then["sqlite_sequence"] if row[0] != b"interventions"]
        pipeline.assert_same_dump(self, now, then)

    def test_no_command_is_left_out(self):
        """Every block of the README is in a section that test_in_order runs, or is one that is known to be run elsewhere."""
        run_here = commands("A day with pvrelay") + [command for command, _ in session("Going back")] + commands("A managed run")
        text = (ROOT / "README.md").read_text()
        for line in re.findall(r"^    (\S.*)$", text[text.index("## Two commands"):], re.M):
            self.assertFalse(line.startswith("$ "), line)  # it would be pasted too
            if COMMAND.match(line):
                self.assertTrue(line in run_here or line.startswith(ELSEWHERE), line)

    def test_two_commands(self):
        """Both exist, and `./run` says what they do; that they work is seen on a fresh root (./run fresh)."""
        done = subprocess.run([ROOT / "run", "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        for word in re.findall(r"^    \./run (\w+)", (ROOT / "README.md").read_text(), re.M):
            self.assertRegex(done.stdout, rf"(?m)^  {word}\b")

    def test_tour(self):
        """Every folder of the tour is there, and every folder is in the tour."""
        tour = re.search(r"^## A tour of the sources\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
        told = set(re.findall(r"^\| `(\w+)/`", tour, re.M))
        self.assertTrue(all((ROOT / name).is_dir() for name in told), told)
        there = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")} - {"build"}
        self.assertEqual(there - told, set())


if __name__ == "__main__":
    unittest.main()
