# SPDX-License-Identifier: MIT
"""What `cmake --install` puts where, and that the installed programs find each other, the mapping and the migrations."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPECTED = {
    "bin/pvrelay",
    "bin/pvrelay-monitor",
    "bin/pvrelay-reader",
    "bin/pvrelay-transformer",
    "bin/pvrelay-validator",
    "bin/pvrelay-writer",
    "lib/systemd/system/pvrelay-failed@.target",
    "lib/systemd/system/pvrelay-manager@.service",
    "lib/systemd/system/pvrelay-monitor@.service",
    "lib/systemd/system/pvrelay-reader@.service",
    "lib/systemd/system/pvrelay-transformer@.service",
    "lib/systemd/system/pvrelay-validator@.service",
    "lib/systemd/system/pvrelay-writer@.service",
    "lib/systemd/system/pvrelay@.target",
    "lib/sysusers.d/pvrelay.conf",
    "lib/tmpfiles.d/pvrelay.conf",
    "share/bash-completion/completions/pvrelay",
    "share/bash-completion/completions/pvrelay-monitor",
    "share/bash-completion/completions/pvrelay-reader",
    "share/bash-completion/completions/pvrelay-transformer",
    "share/bash-completion/completions/pvrelay-validator",
    "share/bash-completion/completions/pvrelay-writer",
    "share/doc/pvrelay/ARCHITECTURE.md",
    "share/doc/pvrelay/CHANGELOG.md",
    "share/doc/pvrelay/LICENSE",
    "share/doc/pvrelay/README.md",
    "share/doc/pvrelay/examples/demo.json",
    "share/doc/pvrelay/docs/bench.png",
    "share/doc/pvrelay/docs/performance.md",
    "share/doc/pvrelay/docs/protocol.md",
    "share/man/man1/pvrelay.1",
    "share/man/man5/pvrelay-config.5",
    "share/man/man5/pvrelay-mapping.5",
    "share/man/man5/pvrelay-report.5",
    "share/man/man7/pvrelay-systemd.7",
    "share/man/man8/pvrelay-monitor.8",
    "share/man/man8/pvrelay-reader.8",
    "share/man/man8/pvrelay-transformer.8",
    "share/man/man8/pvrelay-validator.8",
    "share/man/man8/pvrelay-writer.8",
    "share/pvrelay/mappings/el-to-hub.json",
    "share/pvrelay/migrations/0001_unified_schema.sql",
    "share/pvrelay/migrations/0002_pvrelay.sql",
    "share/pvrelay/migrations/0003_undo.sql",
    "share/pvrelay/migrations/0004_validation.sql",
    "share/pvrelay/migrations/0005_deferred_index.sql",
    "share/pvrelay/migrations/0006_foreign_change.sql",
    "share/pvrelay/migrations/0007_mapping_text.sql",
    "share/pvrelay/migrations/0008_rows_sum.sql",
}


def dead_links(folder):
    """Links of the documents in this folder, and below it, to files that are not there."""
    dead = []
    for document in folder.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if not re.match(r"[a-z]+:", link) and not (document.parent / link).exists():
                dead.append(f"{document.relative_to(folder)}: {link}")
    return dead


class Install(unittest.TestCase):
    def test_installed(self):
        with pipeline.folder() as root:
            prefix = root / "usr"
            subprocess.run(["cmake", "--install", pipeline.BIN.parent, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
            installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
            self.assertEqual(installed, EXPECTED)
            self.assertEqual(dead_links(prefix / "share/doc/pvrelay"), [])
            exports = pipeline.generate(root / "exports", "--preset", "production")
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PVRELAY_")}
            command = [str(prefix / "bin/pvrelay"), "run", *map(str, exports), "--target", str(root / "hub.db")]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=pipeline.DEADLINE)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(pipeline.query(root / "hub.db", "SELECT count(*) FROM el_modules"), [(462,)])

    def test_documents_of_the_debian_package_have_no_dead_links(self):
        with pipeline.folder() as root:
            subprocess.run(["cmake", "--install", pipeline.BIN.parent, "--prefix", root / "usr"], check=True, stdout=subprocess.DEVNULL)
            settings = {"TEMPORARY_DIRECTORY": root, "PACKAGE_NAME": "pvrelay", "PACKAGE_VERSION": "1", "DEBIAN_PACKAGE_RELEASE": "1",
                        "PACKAGE_CONTACT": "nobody <nobody@example.invalid>"}
            subprocess.run(["cmake", *(f"-DCPACK_{name}={value}" for name, value in settings.items()), "-P", ROOT / "packaging/debian.cmake"],
                           check=True)
            doc = root / "usr/share/doc/pvrelay"
            self.assertTrue((doc / "copyright").exists() and not (doc / "LICENSE").exists())
            self.assertIn("](copyright)", (doc / "README.md").read_text())
            self.assertIn("\nThis is the README of the sources. ", (doc / "README.md").read_text())
            self.assertEqual(dead_links(doc), [])

    def test_every_program_tells_its_version_and_help(self):
        for name in ("pvrelay", "pvrelay-reader", "pvrelay-transformer", "pvrelay-writer", "pvrelay-validator", "pvrelay-monitor"):
            for option, told in (("--version", f"{name} "), ("--help", f"Usage: {name} ")):
                done = subprocess.run([pipeline.BIN / name, option], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), name)
                self.assertTrue(done.stdout.startswith(told), done.stdout)

    def test_examples_of_manual_pages(self):
        """The files that they show are accepted as they stand."""
        def examples(page):
            text = (ROOT / "docs/man" / page).read_text()
            return re.findall(r"^\.Bd .*\n(\{\n(?:.*\n)*?)\.Ed$", text[text.index(".Sh EXAMPLES"):], re.M)

        with pipeline.folder() as root:
            pipeline.generate(root, "--modules", 10)
            config, spool = examples("pvrelay-config.5")
            (root / "in").mkdir()
            (root / "run.json").write_text(config)
            (root / "spool.json").write_text(spool.replace("/var/lib/pvrelay/hub.db", "hub.db").replace("/var/lib/pvrelay/incoming", "in"))
            mapping, = examples("pvrelay-mapping.5")
            (root / "mapping.json").write_text(mapping)
            for words in (("pvrelay-reader", "--check", "--config", "run.json"), ("pvrelay", "manage", "--check", "--config", "spool.json"),
                          ("pvrelay", "lint", "mapping.json")):
                done = subprocess.run([pipeline.BIN / words[0], *words[1:]], cwd=root, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), words)

    def test_manual_pages_render(self):
        if shutil.which("man") is None:
            self.skipTest("no man here")
        pages = sorted((ROOT / "docs/man").glob("*.[1578]"))
        self.assertEqual(len(pages), 10)
        for page in pages:
            done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                                  env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)

    def test_manual_pages_refer_to_each_other(self):
        """Each has SEE ALSO and EXAMPLES; all of ours that it refers to exist, and stand in its SEE ALSO."""
        pages = {(page.stem, page.suffix[1:]): page.read_text() for page in (ROOT / "docs/man").glob("*.[1578]")}
        for (name, _), text in pages.items():
            titles = re.findall(r"^\.Sh (.*)$", text, re.M)
            self.assertEqual(titles[-2:], ["EXAMPLES", "SEE ALSO"], name)
            body, also = text.split(".Sh SEE ALSO\n")
            refer = {section: {xr for xr in re.findall(r"Xr (\S+) (\d)", part) if xr[0].startswith("pvrelay")}
                     for section, part in (("body", body), ("also", also))}
            self.assertTrue(refer["also"], name)
            self.assertLessEqual(refer["also"] | refer["body"], set(pages), name)
            self.assertLessEqual(refer["body"], refer["also"], name)
        also = pages["pvrelay", "1"].split(".Sh SEE ALSO\n")[1]
        self.assertEqual(set(re.findall(r"Xr (\S+) (\d)", also)), set(pages) - {("pvrelay", "1")})

    def test_check_finds_a_bad_configuration(self):
        with pipeline.folder() as root:
            bad = root / "bad.json"
            bad.write_text('{"target": "hub.db"}')
            for name in ("reader", "transformer", "writer", "validator"):
                done = subprocess.run([pipeline.BIN / f"pvrelay-{name}", "--config", bad, "--check"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, f'<3>pvrelay-{name}: CONFIG: {bad}: "sources" is missing\n')
            good = pipeline.write_config(root / "good.json", [root / "a.json"], root / "hub.db", root / "d")
            for name in ("reader", "transformer", "writer", "validator"):
                done = subprocess.run([pipeline.BIN / f"pvrelay-{name}", "--config", good, "--check"], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertFalse((root / "hub.db").exists())


if __name__ == "__main__":
    unittest.main()
