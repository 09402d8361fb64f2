# SPDX-License-Identifier: MIT
"""Completion in bash: what it offers is what the programs take."""

import pathlib
import re
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMONS = ("pvrelay-reader", "pvrelay-transformer", "pvrelay-writer", "pvrelay-validator", "pvrelay-monitor")
# What completion says about a value: words to choose from, files, folders, or nothing that could be known.
VALUES = {"--lang": {"en", "fr"}, "--null-text": {"auto", "null", "keep"}, "--on-reject-limit": {"stop", "rollback"},
          "--on-foreign-change": {"reject", "keep", "overwrite"}, "--on-validation-failure": {"stop", "rollback"}, "--extra": {"report", "fail"}, "--undo": {"on", "off"},
          "--progress": {"bar", "plain", "none"}, "--log-level": {"error", "warning", "notice", "info", "debug"}}
FILES = {"--target", "--mapping", "--config", "--run-dir", "--report", "--migrations"}


def complete(*words):
    """What bash offers for the last of these words; "(files)", "(folders)" stand for bash's own completion."""
    script = (f'. "{ROOT}/packaging/bash-completion/pvrelay"\n'
              'compopt() { case $2 in dirnames) echo "(folders)" ;; *) echo "(files)" ;; esac; }\n'
              'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n'
              '_pvrelay "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"\n'
              'printf "%s\\n" "${COMPREPLY[@]}"\n')
    program = str(pipeline.BIN / words[0])
    done = subprocess.run(["bash", "-c", script, "bash", program, *words[1:]], capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"completion of {words}: {done.returncode} {done.stderr}")
    return set(filter(None, done.stdout.splitlines()))


def said(*command):
    done = subprocess.run([pipeline.BIN / command[0], *command[1:]], capture_output=True, text=True, check=True)
    return done.stdout


def commands():
    return set(re.findall(r"(?m)^  ([a-z][a-z-]*) ", said("pvrelay", "help")))


class Completion(unittest.TestCase):
    def test_commands(self):
        self.assertIn("run", commands())
        self.assertEqual(complete("pvrelay", ""), commands() | {"--version", "--help"})
        self.assertEqual(complete("pvrelay", "checkp"), {"checkpoint", "checkpoints"})
        self.assertEqual(complete("pvrelay", "help", "ro"), {"rollback"})

    def test_options_of_every_command_are_taken_by_it(self):
        """No option is offered that the program calls unknown, and every one in the help is offered."""
        for command in sorted(commands() - {"help"}):
            offered = complete("pvrelay", command, "--")
            usage = said("pvrelay", "help", command)
            listed = set(re.findall(r"(?m)^ +(--[a-z-]+)", usage))
            self.assertLessEqual(listed, offered, command)
            for option in offered:
                done = subprocess.run([pipeline.BIN / "pvrelay", command, f"{option}="], capture_output=True, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertNotIn("unknown option", done.stderr, command)

    def test_options_of_the_daemons(self):
        for daemon in DAEMONS:
            offered = complete(daemon, "--")
            self.assertTrue({"--config", "--help", "--version"} <= offered, f"{daemon}: {offered}")
            self.assertEqual(offered, set(re.findall(r"--[a-z-]+", " ".join(
                line[:24] for line in said(daemon, "--help").splitlines() if line.startswith("  ")))) | offered)

    def test_values(self):
        for command in sorted(commands() - {"help"}):
            for option in complete("pvrelay", command, "--"):
                if option in VALUES:
                    self.assertEqual(complete("pvrelay", command, option, ""), VALUES[option])
                    for word in VALUES[option]:
                        self.assertRegex(said("pvrelay", "help", command if command != "retry-rejects" else "run"), rf"\b{word}\b")
                elif option in FILES:
                    self.assertIn(complete("pvrelay", command, option, ""), ({"(files)"}, {"(folders)"}))
        self.assertEqual(complete("pvrelay-reader", "--log-level", ""), VALUES["--log-level"])
        self.assertEqual(complete("pvrelay", "run", "au"), {"(files)"})

    def test_names_of_checkpoints(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "exports", "--preset", "production")
            target = str(root / "hub.db")
            pipeline.run(exports, target)
            subprocess.run([pipeline.BIN / "pvrelay", "checkpoint", "october", "--target", target], check=True, stdout=subprocess.DEVNULL)
            self.assertEqual(complete("pvrelay", "rollback", "--target", target, "--to", ""), {"october", "start-of-run", "last-validated"})
            self.assertEqual(complete("pvrelay", "rollback", "--target", target, "--to", "oc"), {"october"})


if __name__ == "__main__":
    unittest.main()
