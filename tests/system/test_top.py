# SPDX-License-Identifier: MIT
"""`pvrelay top` on a terminal (tmux) before, during and after a run, while a stage dies, in any size."""

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import unittest

import pipeline

PVRELAY = str(pipeline.BIN / "pvrelay")
FOOTER = re.compile(r"^ ?q quit +p (pause|go on) +s order: (pipeline|rate|lag)$")
# A stage that begins each of its later lives when the test opens the gate.
GATED = """#!/bin/sh
if [ -e '{root}/begun' ]; then read -r go < '{root}/gate'; fi
: > '{root}/begun'
exec '{bin}/pvrelay-validator' "$@"
"""


class Terminal:
    """A tmux server of its own with one window, in which one program runs."""

    def __init__(self, root, command, columns=80, rows=24, **environment):
        self.tmux = ["tmux", "-S", str(root / "tmux"), "-f", "/dev/null"]
        self.pid_file = root / "pid"
        words = ["env", "LC_ALL=C.UTF-8", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)]
        # The shell outlives the program: what that one leaves behind, and its exit code, can be looked at.
        shell = f"sh -c 'echo $$ > {self.pid_file}; exec \"$@\"' sh \"$@\"; echo \"ended with $?\"; exec sleep 1000"
        self.run("new-session", "-d", "-x", columns, "-y", rows, "--", "sh", "-c", shell, "sh", *words)
        self.run("set-option", "-g", "window-size", "manual")

    def run(self, *words):
        return subprocess.run([*self.tmux, *map(str, words)], check=True, capture_output=True, text=True).stdout

    def screen(self):
        return [line.rstrip() for line in self.run("capture-pane", "-p").split("\n")[:-1]]

    def wait(self, what, condition):
        """Wait until condition(lines) holds; returns what it returned."""
        try:
            return pipeline.wait_until(lambda: condition(self.screen()), what)
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n" + "\n".join(self.screen())) from None

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def resize(self, columns, rows):
        self.run("resize-window", "-x", columns, "-y", rows)

    def format(self, name):
        return self.run("display-message", "-p", f"#{{{name}}}").strip()

    def pid(self):
        return int(self.pid_file.read_text(encoding="ascii"))

    def exit_code(self):
        """Of the program, when it has ended."""
        ended = self.wait("the program to end", lambda lines: [line for line in lines if line.startswith("ended with ")])
        return int(ended[-1].split()[-1])

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)


@contextlib.contextmanager
def terminal(root, *command, **settings):
    it = Terminal(root, command, **settings)
    try:
        yield it
    finally:
        it.close()


def row(lines, who):
    """The words of a process's row; [] if there is none."""
    return next((line.split() for line in lines if line.split()[:1] == [who]), [])


def has(text):
    return lambda lines: any(text in line for line in lines)


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class OnATerminal(unittest.TestCase):
    def start(self, root):
        """A run whose validator, once it has died, waits for the gate."""
        programs = root / "programs"
        programs.mkdir()
        for stage in ("reader", "transformer", "writer"):
            (programs / f"pvrelay-{stage}").symlink_to(pipeline.BIN / f"pvrelay-{stage}")
        gated = programs / "pvrelay-validator"
        gated.write_text(GATED.format(root=root, bin=pipeline.BIN))
        gated.chmod(stat.S_IRWXU)
        os.mkfifo(root / "gate")
        exports = pipeline.generate(root / "e", "--modules", 400000)
        process = subprocess.Popen(
            pipeline.run_command(exports, root / "hub.db", "--run-dir", root / "r"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**os.environ, "PVRELAY_LIBEXECDIR": str(programs)})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_run_from_before_to_after(self):
        with pipeline.folder() as root, terminal(root, PVRELAY, "top", "--run-dir", root / "r") as top:
            # Before: nobody is there, and the folder is not either.
            top.wait("the screen", has(f"no stage is up in {root}/r; waiting…"))
            self.assertRegex(top.screen()[0], r"^ pvrelay top +down$")
            self.assertRegex(top.screen()[23], FOOTER)

            process = self.start(root)
            top.wait("all stages to be up", lambda lines: all(row(lines, who)[1:2] == ["up"] for who in pipeline.STAGES))
            lines = top.wait("a rate", lambda lines: re.search(r"^ [\d,]+ of 40\d,\d+ records +[1-9][\d,]*/s +ETA \d+:\d\d$", lines[3])
                             and row(lines, "validator")[4:5] != ["-"] and lines)
            self.assertRegex(lines[0], r"^ pvrelay top +run [0-9a-f]{8}  streaming +elapsed \d:\d\d$")
            self.assertRegex(lines[2], r"^ █*░*  +\d+\.\d %$")
            self.assertEqual(len(lines[2]), 80)
            self.assertIn(" stage          state        records   rec/s      lag   window rejects restarts", lines)
            self.assertRegex(" ".join(row(lines, "reader")), r"^reader up [\d,]+ [\d,]+ - [\d.]+ [KM]?B - 0$")
            self.assertRegex(" ".join(row(lines, "validator")), r"^validator up [\d,]+ [\d,-]+ [\d,]+ - 0 0$")

            # A stage dies, and stays away for a while. The others go on as far as they can without it: the writer commits, perhaps to
            # the end ("proving"), but the run does not complete.
            self.assertTrue(pipeline.kill(pipeline.pid_of(root / "r", "validator")))
            top.wait("the validator to be down", lambda lines: row(lines, "validator")[1:2] == ["down"])
            top.wait("it to be down for a while", lambda lines: row(lines, "validator")[2:3] >= ["0:02"])
            self.assertEqual(row(top.screen(), "writer")[1], "up")
            self.assertRegex(" ".join(row(top.screen(), "validator")), r"^validator down 0:\d\d [\d,]+ - [\d,]+ - 0 0$")

            self.resizes(top)
            self.sorts(top)
            with open(root / "gate", "w", encoding="ascii") as gate:
                gate.write("go\n")
            top.wait("the validator to have been started again", lambda lines: row(lines, "validator")[-1] == "1")

            # After: the outcome, and that nobody is there.
            top.wait("the outcome", has(" complete, validated, nothing rejected (exit code 0)"))
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0)
            top.wait("all to be down", has(f" no stage is up in {root}/r; waiting…"))
            lines = top.screen()
            self.assertRegex(lines[0], r"^ pvrelay top +run [0-9a-f]{8}  complete +elapsed \d:\d\d$")
            self.assertRegex(lines[2], r"^ █+  100\.0 %$")
            self.assertEqual([row(lines, who)[1] for who in pipeline.STAGES], ["down"] * 4)

            # Another run in the same folder: it goes on.
            shutil.rmtree(root / "r")
            first = lines[0].split()[3]
            (root / "e2").mkdir()
            again = pipeline.generate(root / "e2", "--modules", 20000, "--trap", "unknown-status=3")
            pipeline.run(again, root / "hub2.db", "--run-dir", root / "r", expect=3)
            top.wait("the next run's outcome", has(" complete, but records were rejected (exit code 3)"))
            self.assertNotEqual(top.screen()[0].split()[3], first)
            self.assertIn("3 rejected", top.screen()[3])

            top.keys("q")
            self.assertEqual(top.exit_code(), 0)
            self.assertNotIn("pvrelay top", "\n".join(top.screen()))

    def resizes(self, top):
        top.resize(100, 30)
        top.wait("a bigger screen", lambda lines: len(lines) == 30 and FOOTER.match(lines[29]) and len(lines[2]) == 100)
        self.assertRegex(top.screen()[0], r"run [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}  (streaming|proving)")
        top.resize(40, 10)
        title = re.compile(r"^ pvrelay [0-9a-f]{8} (streaming|proving) +\d+:\d\d$")
        lines = top.wait("a small screen", lambda lines: title.match(lines[0]) and len(lines) == 10 and FOOTER.match(lines[9]) and lines)
        self.assertRegex(lines[1], r"^ [█░]{30} +[\d.]+ %$")
        self.assertEqual([row(lines, who)[1] for who in pipeline.STAGES], ["up", "up", "up", "down"])
        top.resize(10, 2)
        top.wait("hardly a screen", lambda lines: len(lines) == 2 and lines[0].startswith(" pvrelay"))
        top.resize(200, 60)
        top.wait("a big screen", lambda lines: len(lines) == 60 and FOOTER.match(lines[59]) and len(lines[2]) == 200)
        top.resize(80, 24)
        top.wait("the screen as it was", lambda lines: len(lines) == 24 and FOOTER.match(lines[23]) and len(lines[2]) == 80)

    def order(self, lines):
        return [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in pipeline.STAGES]

    def sorts(self, top):
        """While the validator is down, its lag is the greatest."""
        top.wait("the pipeline's order", lambda lines: self.order(lines) == list(pipeline.STAGES))
        top.keys("s")
        top.wait("the order by rate", lambda lines: lines[23].endswith("s order: rate") and self.order(lines)[-1:] == ["validator"])
        top.keys("s")
        top.wait("the order by lag", lambda lines: lines[23].endswith("s order: lag") and self.order(lines)[:1] == ["validator"])

        # Held: the clock of the validator's absence stands still, sorting goes on.
        top.keys("p")
        held = top.wait("PAUSED", lambda lines: lines[0].endswith(" PAUSED") and lines)
        since = row(held, "validator")[2]
        top.keys("s")
        lines = top.wait("the pipeline's order", lambda lines: lines[23].endswith("p go on   s order: pipeline")
                         and self.order(lines) == list(pipeline.STAGES) and lines)
        self.assertEqual(row(lines, "validator")[2], since)
        started = row(held, "validator")
        with self.assertRaises(AssertionError):
            pipeline.wait_until(lambda: row(top.screen(), "validator") != started, "nothing", deadline=1.5)
        top.keys("p")
        top.wait("the picture to go on", lambda lines: "PAUSED" not in lines[0] and row(lines, "validator")[2] > since)

    def test_signals_give_the_terminal_back(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with pipeline.folder() as root, terminal(root, PVRELAY, "top", "--run-dir", root / "r") as top:
                top.wait("the screen", has("no stage is up"))
                self.assertEqual(top.format("alternate_on"), "1")
                self.assertEqual(top.format("cursor_flag"), "0")
                os.kill(top.pid(), number)
                self.assertEqual(top.exit_code(), 0)
                self.assertEqual(top.format("alternate_on"), "0")
                self.assertEqual(top.format("cursor_flag"), "1")

    def test_another_locale_and_no_colour(self):
        with pipeline.folder() as root, terminal(root, PVRELAY, "top", "--run-dir", root / "r", columns=120, LC_ALL="C", NO_COLOR="1") as top:
            top.wait("the screen", has(f"no stage is up in {root}/r; waiting..."))
            coloured = top.run("capture-pane", "-p", "-e")
            self.assertNotRegex(coloured, r"\x1b\[[0-9;]*3[0-7]m")
            top.keys("q")
            self.assertEqual(top.exit_code(), 0)

    def test_colour(self):
        with pipeline.folder() as root, terminal(root, PVRELAY, "top", "--run-dir", root / "r") as top:
            top.wait("the screen", has("no stage is up"))
            self.assertRegex(top.run("capture-pane", "-p", "-e"), r"\x1b\[[0-9;]*36m")

    def test_what_is_no_screen(self):
        for term in ("no-such-terminal", "dumb", ""):
            with pipeline.folder() as root, terminal(root, PVRELAY, "top", "--run-dir", root / "r", columns=200, TERM=term) as top:
                self.assertEqual(top.exit_code(), 1)
                self.assertEqual(top.screen()[0], f'pvrelay: USAGE: TERM is "{term}": a terminal that is not known, or that cannot show a'
                                                  " screen; set TERM, or use `pvrelay status --run-dir " + f"{root}/r`")


class WithoutATerminal(unittest.TestCase):
    def refused(self, *words):
        done = subprocess.run([PVRELAY, "top", *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((done.returncode, done.stdout), (1 if "TARGET" not in done.stderr else 5, ""))
        return done.stderr

    def test_refused(self):
        with pipeline.folder() as here:
            self.check_refused(here)

    def check_refused(self, here):
        self.assertEqual(self.refused("--run-dir", here / "none"), f"pvrelay: USAGE: top needs a terminal; `pvrelay status --run-dir {here}/none` does not\n")
        self.assertEqual(self.refused(), "pvrelay: USAGE: --run-dir FOLDER, --target DB or --config FILE is missing; see `pvrelay help top`\n")
        self.assertEqual(self.refused("--target", here / "none/t.db"), f"pvrelay: TARGET: {here}/none/t.db: No such file or directory\n")
        self.assertEqual(self.refused("--config", here / "none/c.json"),
                         f"pvrelay: CONFIG: {here}/none/c.json: cannot read the configuration: No such file or directory\n")


class Status(unittest.TestCase):
    """`pvrelay status` where there is less to tell."""

    def status(self, *words):
        done = subprocess.run([PVRELAY, "status", *map(str, words)], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_nothing_there(self):
        down = f"\n{'stage':16} {'state':6} {'records':>14} {'unchanged':>12} {'rejected':>12} {'batches':>12} {'up':>10} {'restarts':>8}\n" + \
            "".join(f"{who:16} down\n" for who in pipeline.STAGES)
        with pipeline.folder() as root:
            self.assertEqual(self.status("--run-dir", root / "r"), f"{root}/r: no run is on there\n{down}")
            config = pipeline.write_config(root / "c.json", [root / "x.json"], root / "hub.db", root / "r")
            self.assertEqual(self.status("--config", config), f"target {root}/hub.db\nno runs\n{root}/r: no run is on there\n{down}")


if __name__ == "__main__":
    unittest.main()
