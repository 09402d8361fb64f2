# SPDX-License-Identifier: MIT
"""`pvrelay verify --api`: the HUB's API against the exports, over a real connection to a small HUB on 127.0.0.1."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import unittest

import pipeline

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import hub_api  # noqa: E402, the path comes first

JALIBAT = "a4e19950-c73c-412c-be4d-699c9de1dde1"
LES_FORGES = "76e6eb36-8b49-4255-99d3-55fc1adfc1c9"
# Whatever proxy the machine has is none of 127.0.0.1's business.
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}, "NO_PROXY": "*"}
ONE = f"GET /api/el/audit/{JALIBAT}"
LIST = "GET /api/el/dashboard/audits"


def verify(exports, target, *options):
    return subprocess.run([pipeline.BIN / "pvrelay", "verify", *map(str, exports), "--target", str(target), *map(str, options)],
                          capture_output=True, text=True, env=ENVIRONMENT, timeout=pipeline.DEADLINE)


class ApiCheck(unittest.TestCase):
    """One migrated database for all; nothing here changes it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(pipeline.folder())
        cls.exports = pipeline.generate(cls.folder / "x", "--preset", "production")
        cls.target = cls.folder / "hub.db"
        pipeline.run(cls.exports, cls.target)

    def check(self, tamper=None, expect=4, *options):
        """Verify against a HUB that answers as tamper makes it; returns (failures as (kind, table, key, column, expected,
        stored), report, hub)."""
        with hub_api.HubApi(self.target, tamper) as hub:
            done = verify(self.exports, self.target, "--api", hub.url, "--json", *options)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        failures = [tuple(f[name] for name in ("kind", "table", "key", "column", "expected", "stored")) for f in report["failures"]]
        self.assertEqual(report["failures_total"], len(failures))
        # What the API shows is one check of its own, and no other one's business.
        self.assertEqual([c["check"] for c in report["checks"] if c["state"] == "failed"], ["api"] if failures else [])
        self.assertEqual(report["api"], hub.url)
        return failures, report, hub

    def on(self, path, change):
        """Tamper with the answer for one path: change(document) returns what is sent."""
        return lambda asked, document: change(document) if asked == path else document

    def on_jalibat(self, change):
        return self.on(hub_api.AUDIT + JALIBAT, change)

    def module_of(self, document, identifier):
        return next(m for m in document["modules"] if m["module_identifier"] == identifier)

    def test_agrees(self):
        with hub_api.HubApi(self.target) as hub:
            done = verify(self.exports, self.target, "--api", hub.url + "/")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn(f"API {hub.url}: compared 2 × audits, 462 × modules\n", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^API +0$")
        self.assertEqual(hub.asked[0], hub_api.LIST)
        self.assertEqual(sorted(hub.asked[1:]), sorted(hub_api.AUDIT + token for token in (JALIBAT, LES_FORGES)))
        self.assertRegex(hub.agents.pop(), r"^pvrelay/\d")

    def test_module_missing(self):
        def drop(document):
            document["modules"] = [m for m in document["modules"] if m["module_identifier"] != "S3-14"]
            return document
        failures, report, _ = self.check(self.on_jalibat(drop))
        self.assertEqual(failures, [("missing", ONE, f"audit_token='{JALIBAT}', module_id='S3-14'", "", "it among the answer's",
                                     "nothing")])
        # The place is where the export has it.
        place = report["failures"][0]
        record = pathlib.Path(place["path"]).read_bytes()[place["offset"]:].split(b"}")[0]
        self.assertIn(b'"module_id": "S3-14"', record)

    def test_status_wrong(self):
        def change(document):
            module = self.module_of(document, "S1-1")
            self.assertEqual(module["status"], "ok")
            module["status"] = "dead"
            return document
        failures, _, _ = self.check(self.on_jalibat(change))
        self.assertEqual(failures, [("mismatch", ONE, f"audit_token='{JALIBAT}', module_id='S1-1'", "status", "'ok'", "'dead'")])

    def test_severity_wrong(self):
        def change(document):
            self.module_of(document, "S1-1")["severity_level"] = 3
            return document
        failures, _, _ = self.check(self.on_jalibat(change))
        self.assertEqual(failures, [("mismatch", ONE, f"audit_token='{JALIBAT}', module_id='S1-1'", "severity_level", "0", "3")])

    def test_module_extra(self):
        def add(document):
            document["modules"].append({**document["modules"][0], "module_identifier": "S99-1", "module_id": "S99-1"})
            return document
        key = f"audit_token='{JALIBAT}', module_id='S99-1'"
        # The totals are then those of the exports: they contradict the longer list.
        totals = [("mismatch", ONE, f"token='{JALIBAT}'", f"progress.{name}", str(more), str(n)) for name, more, n in
                  (("total", 243, 242), ("completed", 243, 242), ("ok", 59, 58))]
        in_list = [("mismatch", LIST, f"token='{JALIBAT}'", f"modules_{name}", str(more), str(n)) for name, more, n in
                   (("total", 243, 242), ("completed", 243, 242), ("ok", 59, 58))]
        failures, report, _ = self.check(self.on_jalibat(add))
        self.assertEqual(failures, totals + in_list)
        self.assertEqual([f["detail"] for f in report["findings"] if f["kind"] == "api_extra"], [f"{ONE}: {key}"])
        failures, _, _ = self.check(self.on_jalibat(add), 4, "--extra", "fail")
        self.assertEqual(failures, [("extra", ONE, key, "", "no such record", "one in the API"), *totals, *in_list])

    def test_module_extra_everywhere(self):
        """A record that the HUB has beyond the exports, and counts: a finding, or a failure if that is asked for."""
        def add(path, document):
            if path == hub_api.AUDIT + JALIBAT:
                document["modules"].append({"module_id": "S99-1", "status": "ok"})
                counts, prefix = document["progress"], ""
            elif path == hub_api.LIST:
                counts, prefix = next(a for a in document["audits"] if a["token"] == JALIBAT), "modules_"
            else:
                return document
            for name in ("total", "completed", "ok"):
                counts[prefix + name] += 1
            return document
        failures, report, _ = self.check(add, 0)
        self.assertEqual(failures, [])
        self.assertEqual(sum(f["count"] for f in report["findings"] if f["kind"] == "api_extra"), 1)
        failures, _, _ = self.check(add, 4, "--extra", "fail")
        self.assertEqual([f[0] for f in failures], ["extra"])

    def test_audit_missing(self):
        def gone(path, document):
            if path == hub_api.AUDIT + JALIBAT:
                return None
            if path == hub_api.LIST:
                document["audits"] = [a for a in document["audits"] if a["token"] != JALIBAT]
            return document
        failures, _, _ = self.check(gone)
        key = f"token='{JALIBAT}'"
        self.assertEqual(failures, [("missing", ONE, key, "", "status 200 and JSON", "status 404"),
                                    ("missing", LIST, key, "", "it among the answer's", "nothing")])

    def test_totals_of_the_list(self):
        def change(document):
            next(a for a in document["audits"] if a["token"] == JALIBAT).update(modules_ok=57, project_name="JALIBAT ")
            return document
        failures, _, _ = self.check(self.on(hub_api.LIST, change))
        self.assertEqual(failures, [("mismatch", LIST, f"token='{JALIBAT}'", "project_name", "'JALIBAT'", "'JALIBAT '"),
                                    ("mismatch", LIST, f"token='{JALIBAT}'", "modules_ok", "58", "57")])

    def test_no_answer(self):
        """One audit for which there is none: named with the reason; the others are compared all the same."""
        for reply, why in ((hub_api.Reply(b"{}", 500), "status 500"),
                           (hub_api.Reply(b"", 302, Location="http://127.0.0.1:1/"), "status 302 (redirects are not followed)"),
                           (hub_api.Reply(b"<!DOCTYPE html><title>Error</title>", Content_Type="text/html"),
                            "no JSON (line 1, column 1: '[' or '{' expected near '<')"),
                           (hub_api.Reply(b""), "no JSON (line 1, column 0: '[' or '{' expected near end of file)"),
                           (hub_api.Reply(b'{"modules": ['), "no JSON (line 1, column 13: ']' expected near end of file)")):
            with self.subTest(why):
                failures, _, hub = self.check(self.on_jalibat(lambda document: reply))
                self.assertEqual(failures, [("missing", ONE, f"token='{JALIBAT}'", "", "status 200 and JSON", why)])
                self.assertIn(hub_api.AUDIT + LES_FORGES, hub.asked)
                self.assertEqual(len(hub.asked), 3)

    def test_wrong_shape(self):
        failures, _, _ = self.check(self.on_jalibat(lambda document: {"module": []}))
        self.assertEqual(failures, [("missing", ONE, f"token='{JALIBAT}'", "", 'an object with a list "modules"',
                                     "an object without")])
        failures, _, _ = self.check(self.on(hub_api.LIST, lambda document: document["audits"]))
        self.assertEqual(failures, [("whole", LIST, "", "", 'an object with a list "audits"', "a list")])

    def test_huge(self):
        piece = b" " * (1 << 20)
        failures, _, _ = self.check(self.on_jalibat(lambda document: hub_api.Reply(piece for _ in range(70))))
        self.assertEqual(failures, [("missing", ONE, f"token='{JALIBAT}'", "", "status 200 and JSON",
                                     "an answer of more than 67.1 MB")])

    def test_hangs(self):
        """A server that begins its answer and never ends it: the rest is not asked."""
        released = threading.Event()

        def hang():
            yield b"{"
            released.wait(pipeline.DEADLINE)
        try:
            with hub_api.HubApi(self.target, self.on(hub_api.LIST, lambda document: hub_api.Reply(hang()))) as hub:
                done = verify(self.exports, self.target, "--api", hub.url, "--api-timeout", 1)
                self.assertEqual(hub.asked, [hub_api.LIST])
                released.set()
        finally:
            released.set()
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertIn(f"  whole: {LIST}: expected status 200 and JSON, stored no whole answer within 1 s\n", done.stdout)

    def test_hangs_later(self):
        released = threading.Event()

        def hang():
            yield b"{"
            released.wait(pipeline.DEADLINE)
        try:
            tamper = lambda path, document: document if path == hub_api.LIST else hub_api.Reply(hang())  # noqa: E731
            failures, _, hub = self.check(tamper, 4, "--api-timeout", 1)
        finally:
            released.set()
        self.assertEqual(len(hub.asked), 2)
        self.assertEqual(failures[0][0], "missing")
        self.assertEqual(failures[0][4:], ("status 200 and JSON", "no whole answer within 1 s"))
        self.assertEqual(failures[1:], [("whole", LIST, "", "", "an answer for 1 more", "not asked: the server does not answer")])

    def test_refused(self):
        with socket.socket() as taken:  # bound, not listening
            taken.bind(("127.0.0.1", 0))
            done = verify(self.exports, self.target, "--api", f"http://127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual((done.returncode, done.stderr), (4, ""))
        self.assertIn(f"  whole: {LIST}: expected status 200 and JSON, stored no connection: Connection refused\n", done.stdout)

    def test_urls(self):
        for url, why in (("ftp://127.0.0.1/", "--api ftp://127.0.0.1/: an http or https URL is expected"),
                         ("file:///etc/hostname", "--api file:///etc/hostname: an http or https URL is expected"),
                         ("127.0.0.1", "--api 127.0.0.1: is no URL: Bad scheme"),
                         ("http://someone:secret@127.0.0.1/", "--api: a URL without user and password is expected"),
                         ("http://127.0.0.1/?a=b", "--api http://127.0.0.1/?a=b: a URL without ? and # is expected")):
            done = verify(self.exports, self.target, "--api", url)
            self.assertEqual(done.stderr, f"pvrelay: USAGE: {why}; see `pvrelay help verify`\n")
            self.assertEqual((done.returncode, done.stdout), (1, ""))

    def test_rejected_records_are_not_missed(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "x", "--modules", 300, "--trap", "unknown-status=7", "--trap", "orphan-module=2")
            pipeline.run(exports, root / "hub.db", expect=3)
            with hub_api.HubApi(root / "hub.db") as hub:
                done = verify(exports, root / "hub.db", "--api", hub.url)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue(re.search(r"^API +0$", done.stdout, re.M), done.stdout)


if __name__ == "__main__":
    unittest.main()
