# SPDX-License-Identifier: MIT
"""The units as they are installed: systemd finds nothing wrong with them, they are hardened, and they name what there is."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = {"pvrelay-manager@.service", "pvrelay-reader@.service", "pvrelay-transformer@.service", "pvrelay-writer@.service",
            "pvrelay-validator@.service", "pvrelay-monitor@.service"}
UNITS = SERVICES | {"pvrelay@.target", "pvrelay-failed@.target"}
EXPOSURE = 20  # tenths: 2.0


def settings(unit):
    """Lines KEY=VALUE of a unit by section, in their order."""
    found, section = {}, None
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section.append(tuple(line.split("=", 1)))
    return found


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="pvr-", dir="/tmp")
        cls.prefix = pathlib.Path(cls.folder.name) / "usr"
        subprocess.run(["cmake", "--install", pipeline.BIN.parent, "--prefix", cls.prefix], check=True, stdout=subprocess.DEVNULL)
        cls.units = cls.prefix / "lib/systemd/system"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
        return done.returncode, done.stdout + done.stderr

    def test_all_are_installed(self):
        self.assertEqual({unit.name for unit in self.units.iterdir()}, UNITS)
        self.assertEqual({unit.name for unit in (ROOT / "systemd").glob("pvrelay*")}, UNITS)

    def test_systemd_finds_nothing_wrong(self):
        for name in sorted(UNITS):
            with self.subTest(name):
                self.assertEqual(self.analyze("verify", "--man=no", "--recursive-errors=no", self.units / name), (0, ""))

    def test_that_check_can_fail(self):
        wrong = self.units / "wrong.service"
        wrong.write_text((self.units / "pvrelay-reader@.service").read_text().replace("WatchdogSec=", "WatchdogSecond="))
        try:
            code, told = self.analyze("verify", "--man=no", "--recursive-errors=no", wrong)
        finally:
            wrong.unlink()
        self.assertEqual(code, 1, told)
        self.assertIn("Unknown key 'WatchdogSecond' in section [Service]", told)

    def test_they_are_hardened(self):
        for name in sorted(SERVICES):
            with self.subTest(name):
                code, told = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE}", self.units / name)
                self.assertEqual(code, 0, told)
                self.assertRegex(told, r"Overall exposure level for pvrelay-[a-z]+@[^ ]*service: [01]\.\d")

    def test_hardening_is_the_same_in_all(self):
        def after_mark(name):
            return (self.units / name).read_text().split("# What a break-in could reach:")[1].split("\n[Install]")[0].strip()

        expected = after_mark("pvrelay-reader@.service")
        self.assertIn("SystemCallFilter=", expected)
        for name in SERVICES:
            self.assertEqual(after_mark(name), expected, name)

    def test_the_stages_differ_only_in_their_names_and_times(self):
        def common(stage):
            text = (self.units / f"pvrelay-{stage}@.service").read_text().replace(stage, "STAGE")
            return [line for line in text.splitlines() if not line.startswith(("#", "TimeoutStart", "TimeoutStop"))]

        for stage in ("transformer", "writer", "validator"):
            self.assertEqual(common(stage), common("reader"))

    def test_they_start_programs_that_are_there_with_options_that_they_have(self):
        for name in sorted(SERVICES):
            for key, value in settings(self.units / name)["Service"]:
                if key not in ("ExecStart", "ExecStartPre"):
                    continue
                words = value.split()
                self.assertTrue(words[0].startswith(f"{self.prefix}/bin/"), value)
                done = subprocess.run([words[0], *(word for word in words[1:2] if not word.startswith("-")), "--help"],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, value)
                for option in words[1:]:
                    if option.startswith("--"):
                        self.assertRegex(done.stdout, rf"(?m)^.*{option}\b", value)

    def test_texts_name_the_units_that_there_are(self):
        known = {unit.split("@")[0] for unit in UNITS}
        kind = {unit.split("@")[0]: unit.split(".")[-1] for unit in UNITS}
        texts = [ROOT / "README.md", ROOT / "docs/man/pvrelay-systemd.7", *(ROOT / "packaging/debian").iterdir(), *(self.units.iterdir())]
        for text in texts:
            for name, ending in re.findall(r"\b(pvrelay(?:-[a-z]+)?)@[\w%*.]*?\.(target|service)\b", text.read_text()):
                self.assertIn(name, known, text)
                self.assertEqual(ending, kind[name], f"{name}@ in {text}")
        page = (ROOT / "docs/man/pvrelay-systemd.7").read_text()
        for name in sorted(known):
            self.assertIn(f"{name}@demo.{kind[name]}", page)

    def test_users_and_folders(self):
        lines = (self.prefix / "lib/sysusers.d/pvrelay.conf").read_text().splitlines()
        self.assertEqual([line.split()[:2] for line in lines if not line.startswith("#")], [["u", "pvrelay"]])
        for name in SERVICES:
            service = dict(settings(self.units / name)["Service"])
            self.assertEqual((service["User"], service["Group"], service["UMask"]), ("pvrelay", "pvrelay", "0027"))
        lines = (self.prefix / "lib/tmpfiles.d/pvrelay.conf").read_text().splitlines()
        self.assertEqual([line.split() for line in lines if not line.startswith("#")],
                         [["d", "/etc/pvrelay", "0750", "root", "pvrelay", "-"], ["d", "/var/lib/pvrelay", "0750", "pvrelay", "pvrelay", "-"]])


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        print("no systemd-analyze here (Debian package systemd)")
        sys.exit(77)
    unittest.main()
