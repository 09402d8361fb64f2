# SPDX-License-Identifier: MIT
"""What a run finds around it: its run folder, planted links, few descriptors, a terminal that can little."""

import os
import pty
import resource
import stat
import subprocess
import unittest

import pipeline

PVRELAY = str(pipeline.BIN / "pvrelay")


class Surroundings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = pipeline.folder()
        cls.root = cls._folder.__enter__()
        cls.exports = pipeline.generate(cls.root / "x", "--modules", 50)

    @classmethod
    def tearDownClass(cls):
        cls._folder.__exit__(None, None, None)

    def setUp(self):
        self._here = pipeline.folder()
        self.here = self._here.__enter__()
        self.addCleanup(self._here.__exit__, None, None, None)
        self.runtime = self.here / "rt"
        self.runtime.mkdir(0o700)
        self.target = self.here / "hub.db"

    def run_there(self, *options, runtime=None, expect=0, **more):
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime or self.runtime)}
        done = subprocess.run(pipeline.run_command(self.exports, self.target, *options), capture_output=True, text=True,
                              timeout=pipeline.DEADLINE, env=environment, **more)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def test_a_default_run_folder_goes_with_its_run(self):
        self.run_there()
        self.assertEqual(list((self.runtime / "pvrelay").iterdir()), [])
        self.exports, whole = self.exports[:1] + [self.here / "bad.json"], self.exports
        self.addCleanup(setattr, self, "exports", whole)
        self.exports[1].write_text("[{]")
        self.run_there("--restart", expect=2)
        self.assertEqual(list((self.runtime / "pvrelay").iterdir()), [])

    def test_of_a_retry_too(self):
        broken = self.here / "m.json"
        broken.write_text(self.exports[1].read_text().replace('"status": "', '"status": "no', 1))
        self.exports, whole = [self.exports[0], broken], self.exports
        self.addCleanup(setattr, self, "exports", whole)
        self.run_there(expect=3)
        done = subprocess.run([PVRELAY, "retry-rejects", "--target", self.target, "--progress", "none"], capture_output=True, text=True,
                              timeout=pipeline.DEADLINE, env={**os.environ, "XDG_RUNTIME_DIR": str(self.runtime)})
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(list((self.runtime / "pvrelay").iterdir()), [])

    def test_a_run_folder_that_was_named_stays(self):
        self.run_there("--run-dir", self.here / "d")
        self.assertTrue((self.here / "d" / "config.json").exists())
        self.assertEqual(list(self.runtime.iterdir()), [])

    def test_what_the_environment_names_wrongly(self):
        deep = self.here / ("y" * 100)
        deep.mkdir(0o700)
        loose = self.here / "loose"
        loose.mkdir()
        loose.chmod(0o777)
        for wrong in (self.here / "none" / "deep", deep, loose):
            self.run_there(runtime=wrong)
        self.assertFalse((self.here / "none").exists())
        self.assertEqual([*deep.iterdir(), *loose.iterdir()], [])

    def test_a_run_folder_for_everybody(self):
        folder = self.here / "d"
        folder.mkdir()
        for mode in (0o777, 0o770, 0o702):
            folder.chmod(mode)
            done = self.run_there("--run-dir", folder, expect=1)
            self.assertIn(f"{folder}: others may write in the run folder (mode {mode:04o})", done.stderr)
            self.assertFalse(self.target.exists())

    def test_planted_links(self):
        """In a folder that others can write: at every name that a report ever had."""
        victim = self.here / "victim"
        victim.write_text("theirs")
        report = self.here / "r"
        report.mkdir()
        report.chmod(0o1777)
        names = ["report.md", "report.json", "report.md.new", "report.json.new"]
        for name in names:
            (report / name).symlink_to(victim)
        self.run_there("--report", report)
        self.assertEqual(victim.read_text(), "theirs")
        for name in names[:2]:
            self.assertTrue(stat.S_ISREG((report / name).lstat().st_mode))
        self.assertEqual(sorted(p.name for p in report.iterdir()), sorted(names))

    def test_a_target_that_is_a_link_to_nothing(self):
        self.target.symlink_to(self.here / "elsewhere.db")
        self.assertIn("is a link to a file that is not there; name the file itself", self.run_there(expect=5).stderr)
        self.assertFalse((self.here / "elsewhere.db").exists())

    def test_few_descriptors(self):
        def limits(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.run_there("--transformers", 3, preexec_fn=limits(12, 4096))  # the soft limit is no limit
        for hard in (20, 24, 28, 34):
            done = self.run_there("--transformers", 3, preexec_fn=limits(hard, hard), expect=1)
            self.assertIn("CONFIG: too many open files: ", done.stderr)
            self.assertIn("raise the limit (ulimit -Hn, LimitNOFILE=)", done.stderr)
            self.assertNotIn("died", done.stderr)

    def on_terminal(self, *command, **environment):
        """What a command prints where a terminal is."""
        primary, secondary = pty.openpty()
        process = subprocess.Popen(command, stdin=secondary, stdout=secondary, stderr=secondary,
                                   env={**os.environ, "XDG_RUNTIME_DIR": str(self.runtime), **environment})
        os.close(secondary)
        said = b""
        while True:
            try:
                part = os.read(primary, 65536)
            except OSError:  # nobody holds the other end any more
                break
            if not part:
                break
            said += part
        os.close(primary)
        process.wait(timeout=pipeline.DEADLINE)
        return said.decode()

    def test_no_colour_and_no_cursor(self):
        run = [PVRELAY, "run", *map(str, self.exports), "--target", str(self.target)]
        verify = [PVRELAY, "verify", *map(str, self.exports), "--target", str(self.target)]
        back = [PVRELAY, "rollback", "--target", str(self.target), "--to", "0"]
        self.assertIn("\033[", self.on_terminal(*run, TERM="xterm"))
        self.assertIn("\033[", self.on_terminal(*verify, TERM="xterm"))
        for environment in ({"TERM": "dumb"}, {"TERM": ""}):
            for command in (verify, back, run):
                self.assertNotIn("\033", self.on_terminal(*command, **environment))
        for command in (verify, back, run):
            self.assertNotRegex(self.on_terminal(*command, TERM="xterm", NO_COLOR="1"), "\033\\[[0-9;]*m")


if __name__ == "__main__":
    unittest.main(verbosity=2)
