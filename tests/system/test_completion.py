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


def listed(usage):
    """The options that a help text explains or names in its usage."""
    texts = [re.split(r"  +(?! *--)|: ", line.strip(), maxsplit=1)[0] for line in usage.splitlines() if re.match(r"  +(-\w, +)?--", line)]
    texts += [line for line in usage.splitlines() if line.startswith("Usage:")]
    return set(re.findall(r"--[a-z][a-z-]*", " ".join(texts))) - {"--help", "--version"}


def synopsis(page):
    """What the SYNOPSIS of a manual page has: {command, or "" for a daemon: options}."""
    text = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh ", page, re.M | re.S).group(1)
    found = {}
    for form in text.split(".Nm\n")[1:]:
        command = re.match(r"\.Cm ([a-z-]+)", form)
        options = set(re.findall(r"Fl (-[a-z-]+)", form))
        if command or not options <= {"-help", "-version"}:
            found[command.group(1) if command else ""] = {f"-{option}" for option in options}
    return found


def described(page):
    """What the manual page says about options: {command: options}, "" for what it says of all."""
    text = re.search(r"^\.Sh DESCRIPTION\n(.*?)^\.Sh ", page, re.M | re.S).group(1)
    found, command, depth = {"": set()}, "", 0
    for line in text.splitlines():
        depth += line.startswith(".Bl ")
        depth -= line.startswith(".El")
        if depth == 1 and line.startswith(".It Cm "):
            command = line.split()[2]
            found[command] = set()
        elif depth == 0:
            command = ""
        found[command] |= {f"-{option}" for option in re.findall(r"Fl (-[a-z-]+)", line)}
    found["top"] |= found["status"]  # "The options are those of"
    found["retry-rejects"] |= found["run"]
    return found


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

    def test_help_manual_and_completion_have_the_same_options(self):
        page = (ROOT / "docs/man/pvrelay.1").read_text()
        shown, said_of = synopsis(page), described(page)
        self.assertEqual(set(shown), commands())
        for command in sorted(commands() - {"help"}):
            options = listed(said("pvrelay", "help", command))
            self.assertTrue(options or command == "lint", command)
            self.assertEqual(shown[command], options, f"{command}: SYNOPSIS and help")
            self.assertEqual(complete("pvrelay", command, "--") - {"--help", "--version"}, options, f"{command}: completion and help")
            self.assertLessEqual(options, said_of[command] | said_of[""], f"{command}: DESCRIPTION and help")
        for daemon in DAEMONS:
            page = (ROOT / f"docs/man/{daemon}.8").read_text()
            options = listed(said(daemon, "--help"))
            self.assertEqual(synopsis(page), {"": options}, f"{daemon}: SYNOPSIS and help")
            self.assertEqual(complete(daemon, "--") - {"--help", "--version"}, options, f"{daemon}: completion and help")
            self.assertLessEqual(options, {f"-{option}" for option in re.findall(r"^\.It .*Fl (-[a-z-]+)", page, re.M)},
                                 f"{daemon}: DESCRIPTION and help")

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
