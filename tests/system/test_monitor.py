# SPDX-License-Identifier: MIT
"""pvrelay-monitor: every answer it gives, over a live run in which a stage is killed, and to those who mean no good."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECURITY = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"}
FAMILIES = {"pvrelay_build_info", "pvrelay_stage_up", "pvrelay_run_info", "pvrelay_run_records", "pvrelay_committed_records",
            "pvrelay_validated_records", "pvrelay_stage_start_time_seconds", "pvrelay_stage_restarts_total", "pvrelay_cpu_seconds_total",
            "pvrelay_working_seconds_total", "pvrelay_wait_input_seconds_total", "pvrelay_wait_output_seconds_total", "pvrelay_records_total",
            "pvrelay_batches_total", "pvrelay_bytes_total", "pvrelay_rejects_total", "pvrelay_resends_total", "pvrelay_protocol_errors_total",
            "pvrelay_commit_duration_seconds", "pvrelay_window_bytes", "pvrelay_checkpoint_number", "pvrelay_validated_checkpoint_number",
            "pvrelay_validation_rows_total", "pvrelay_last_progress_timestamp_seconds", "pvrelay_rejected_records", "pvrelay_run_failures",
            "pvrelay_run_phase", "pvrelay_run_indexes", "pvrelay_run_indexes_left", "pvrelay_run_progress_ratio", "pvrelay_run_eta_seconds",
            "pvrelay_run_elapsed_seconds"}
SAMPLE = re.compile(r'^(pvrelay_[a-z_]+)(\{[^}]*\})? ([-+.0-9a-zA-Z]+)$')


class Monitor:
    """A monitor on a port of its own."""

    def __init__(self, *arguments, listen="127.0.0.1:0", **popen):
        command = [str(pipeline.BIN / "pvrelay-monitor"), *map(str, arguments), "--listen", listen]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError("the monitor does not start: " + self.process.communicate()[1])
        self.host, self.port = re.fullmatch(r"http://(.*):(\d+)/", self.url).groups()
        self.port = int(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.errors = self.process.communicate(timeout=pipeline.DEADLINE)[1]

    def ask(self, path, method="GET", headers=None):
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=pipeline.DEADLINE)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.ask("/api/status")[2])

    def raw(self, request):
        with socket.create_connection((self.host.strip("[]"), self.port), timeout=pipeline.DEADLINE) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer


def samples(text):
    """Series (name with labels) to value; and the type of each family."""
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            if name + (labels or "") in values:
                raise AssertionError("twice: " + line)
            values[name + (labels or "")] = float(value)
    return values, types


class Answers(unittest.TestCase):
    """Without a pipeline."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.root = cls.stack.enter_context(pipeline.folder())
        (cls.root / "d").mkdir()
        cls.monitor = cls.stack.enter_context(Monitor("--run-dir", cls.root / "d"))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def test_each_path(self):
        down = "reader is down\ntransformer-1 is down\nwriter is down\nvalidator is down\nno run is on\n"
        plain = "text/plain; charset=utf-8"
        for path, status, kind, body in (("/healthz", 200, plain, "ok\n"), ("/readyz", 503, plain, down),
                                         ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", None),
                                         ("/api/status", 200, "application/json", None), ("/", 200, "text/html; charset=utf-8", None),
                                         ("/nothing", 404, plain, "There is /, /metrics, /healthz, /readyz and /api/status.\n"),
                                         ("/../etc/passwd", 404, plain, None), ("/api", 404, plain, None), ("//", 404, plain, None)):
            with self.subTest(path):
                got, headers, text = self.monitor.ask(path)
                self.assertEqual((got, headers["Content-Type"]), (status, kind))
                self.assertLessEqual(SECURITY.items(), headers.items())
                self.assertTrue(headers["Content-Security-Policy"].startswith("default-src 'none'; "))
                if body is not None:
                    self.assertEqual(text, body)
                head, head_headers, head_text = self.monitor.ask(path, "HEAD")
                self.assertEqual((head, head_text), (status, ""))
                self.assertEqual(head_headers["Content-Type"], kind)
        self.assertEqual(self.monitor.ask("/healthz?x=1")[0], 200)

    def test_who_only_reads(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            status, headers, text = self.monitor.ask("/api/status", method)
            self.assertEqual((status, headers["Allow"], text), (405, "GET, HEAD", "This monitor only reads: GET and HEAD.\n"), method)

    def test_names(self):
        for name in ("localhost", "LOCALHOST:9478", "127.0.0.1", "[::1]", "[::1]:1", f"127.0.0.1:{self.monitor.port}"):
            self.assertEqual(self.monitor.ask("/healthz", headers={"Host": name})[0], 200, name)
        for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:9478", "", "localhost:x", "127.0.0.2", "[::2]"):
            status, _, text = self.monitor.ask("/api/status", headers={"Host": name})
            self.assertEqual((status, text), (421, "This monitor answers by the names localhost, 127.0.0.1 and [::1] only.\n"), name)
        self.assertTrue(self.monitor.raw(b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 "))

    def test_what_is_no_request(self):
        for request in (b"\r\n\r\n\r\n" * 3 + b"hello\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00" * 20 + b"\r\n\r\n",
                        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
                        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"):
            with contextlib.suppress(ConnectionError):
                self.assertNotIn(b" 200 ", self.monitor.raw(request).split(b"\r\n")[0])
        self.assertEqual(self.monitor.ask("/healthz")[2], "ok\n")

    def test_more_connections_than_it_takes(self):
        with contextlib.ExitStack() as stack:
            for _ in range(80):
                stack.enter_context(socket.create_connection((self.monitor.host, self.monitor.port), timeout=10)).sendall(b"GET /")
        self.assertEqual(self.monitor.ask("/healthz")[2], "ok\n")

    def test_page_is_alone_in_the_world(self):
        _, headers, page = self.monitor.ask("/")
        self.assertEqual(re.findall(r"https?:|//|url\(|@import", page), [])
        self.assertEqual([link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if link not in ("data:,", "readyz", "metrics", "api/status")], [])
        self.assertEqual(re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b", page), [])
        nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", headers["Content-Security-Policy"]).group(1)
        self.assertEqual(re.findall(r'<(?:script|style)[^>]*>', page), [f'<style nonce="{nonce}">', f'<script nonce="{nonce}">'])
        self.assertNotIn(nonce, self.monitor.ask("/")[1]["Content-Security-Policy"])

    def test_metrics_of_nothing(self):
        values, types = samples(self.monitor.ask("/metrics")[2])
        self.assertEqual(set(types), FAMILIES)
        ups = {series: value for series, value in values.items() if series.startswith("pvrelay_stage_up")}
        self.assertEqual(ups, {f'pvrelay_stage_up{{stage="{stage}",worker="1"}}': 0.0 for stage in ("reader", "transformer", "writer", "validator")})
        self.assertEqual(len(values), len(ups) + 1)

    def test_status_of_nothing(self):
        status = self.monitor.status()
        self.assertEqual((status["target"], status["run_dir"], status["ready"], status["progress"], status["ending"], status["runs"], status["report"]),
                         (None, str(self.root / "d"), False, None, None, [], None))
        self.assertEqual([(stage["who"], stage["up"], stage["down_for_ms"]) for stage in status["stages"]],
                         [("reader", False, None), ("transformer-1", False, None), ("writer", False, None), ("validator", False, None)])


class Starting(unittest.TestCase):
    def fails(self, *arguments):
        done = subprocess.run([pipeline.BIN / "pvrelay-monitor", *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def test_a_port_that_is_taken(self):
        with pipeline.folder() as root, socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.assertEqual(self.fails("--run-dir", root, "--listen", f"127.0.0.1:{port}"),
                             (1, f"<3>pvrelay-monitor: CONFIG: cannot listen on 127.0.0.1:{port}: Address already in use; give another --listen ADDRESS:PORT\n"))
            self.assertEqual(self.fails("--run-dir", root, "--listen", "192.0.2.1:9478"),
                             (1, "<3>pvrelay-monitor: CONFIG: cannot listen on 192.0.2.1:9478: Cannot assign requested address; give another --listen ADDRESS:PORT\n"))

    def test_the_command_line(self):
        expected = "an address and a port are expected, as in 127.0.0.1:9478 or [::1]:9478"
        for listen in ("9478", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:+1", "::1:9478", "[::1]", "example.org:80", ":80"):
            self.assertEqual(self.fails("--run-dir", "/tmp", "--listen", listen), (1, f"<3>pvrelay-monitor: USAGE: --listen {listen}: {expected}\n"))
        self.assertEqual(self.fails(), (1, "<3>pvrelay-monitor: USAGE: --config FILE, --run-dir FOLDER or --target DB is missing; see `pvrelay-monitor --help`\n"))
        self.assertEqual(self.fails("--run-dir", "/tmp", "more"), (1, "<3>pvrelay-monitor: USAGE: unexpected argument more; see `pvrelay-monitor --help`\n"))
        self.assertEqual(self.fails("--what"), (1, "<3>pvrelay-monitor: USAGE: unknown or incomplete option --what; see `pvrelay-monitor --help`\n"))
        self.assertEqual(self.fails("--target", "/nowhere/hub.db", "--listen", "127.0.0.1:0"),
                         (5, "<3>pvrelay-monitor: TARGET: /nowhere/hub.db: No such file or directory\n"))

    def test_ipv6(self):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            self.skipTest(f"no IPv6 here: {error}")
        with pipeline.folder() as root, Monitor("--run-dir", root, listen="[::1]:0") as monitor:
            self.assertEqual(monitor.host, "[::1]")
            self.assertEqual(monitor.ask("/healthz")[2], "ok\n")

    def test_service_manager(self):
        with pipeline.folder() as root, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(root / "notify"))
            notify.settimeout(pipeline.DEADLINE)
            environment = {**os.environ, "NOTIFY_SOCKET": str(root / "notify"), "WATCHDOG_USEC": "600000"}
            with Monitor("--run-dir", root, env=environment) as monitor:
                self.assertEqual(notify.recv(4096).decode(), f"READY=1\nSTATUS={monitor.url}")
                self.assertEqual(notify.recv(4096), b"WATCHDOG=1")
                self.assertEqual(notify.recv(4096), b"WATCHDOG=1")
                monitor.process.send_signal(signal.SIGTERM)
                self.assertEqual(monitor.process.wait(pipeline.DEADLINE), 0)
                told = set()
                while "STOPPING=1" not in told:
                    told.add(notify.recv(4096).decode())
                self.assertLessEqual(told, {"WATCHDOG=1", "STOPPING=1"})
            self.assertEqual(monitor.errors, "")


class Watched(unittest.TestCase):
    """A monitor of a run of stages started by hand, so that one that is killed stays down until it is started again."""

    def watch(self, modules):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.root = stack.enter_context(pipeline.folder())
        exports = pipeline.generate(self.root / "exports", "--modules", modules, "--trap", "unknown-status=7", "--trap", "bad-utf8=2")
        self.records = modules + modules // 500
        self.target, self.run_dir = self.root / "hub.db", self.root / "d"
        self.config = pipeline.write_config(self.root / "config.json", exports, self.target, self.run_dir, batch_bytes=4096, window_bytes=65536, transformers=2)
        self.monitor = stack.enter_context(Monitor("--config", self.config))
        self.stages = {}
        self.seen = {}

    def start(self, who):
        program, _, instance = who.partition("-")
        command = [pipeline.BIN / f"pvrelay-{program}", "--config", self.config, *(["--instance", instance] if instance else [])]
        process = self.stages[who] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def kill(self, who):
        self.stages[who].kill()
        self.stages[who].wait()

    def look(self):
        """The series of now; each counter is checked against the last look: it grew, or its process is another one."""
        text = self.monitor.ask("/metrics")[2]
        values, types = samples(text)
        for series, value in values.items():
            name, labels = re.match(r"([a-z_]+)(.*)", series).groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            if types.get(name) == "counter" or types.get(family) == "histogram":
                process = re.search(r'stage="[a-z]+",worker="\d+"', labels).group()
                start = values[f"pvrelay_stage_start_time_seconds{{{process}}}"]
                before_start, before = self.seen.get(series, (start, 0.0))
                if start == before_start:
                    self.assertGreaterEqual(value, before, series)
                self.seen[series] = (start, value)
        return values

    def up(self, stage, worker=1):
        return self.look()[f'pvrelay_stage_up{{stage="{stage}",worker="{worker}"}}']


class LiveRun(Watched):
    """A run too long to end while it is watched, on any machine."""

    def test_run(self):
        self.watch(modules=500000)
        for who in ("writer", "reader", "transformer-1", "transformer-2"):
            self.start(who)
        # Without a validator: it says so.
        pipeline.wait_until(lambda: self.monitor.ask("/readyz")[::2] == (503, "validator is down\n"), "all but the validator to be up")
        self.start("validator")
        pipeline.wait_until(lambda: self.monitor.ask("/readyz")[::2] == (200, "ready\n"), "the pipeline to be ready")
        pipeline.wait_until(lambda: self.look().get('pvrelay_records_total{stage="validator",worker="1",result="ok"}', 0) > 500, "records to be proved")
        # Each stage tells its counters by itself: what is proved may be known before the commit of it.
        pipeline.wait_until(lambda: self.look().get('pvrelay_commit_duration_seconds_count{stage="writer",worker="1"}', 0) > 0, "commits to be told")
        self.check_metrics()
        self.killed("validator")
        self.killed("writer")
        self.killed("transformer-2")
        pipeline.wait_until(lambda: any(point[1] for point in self.monitor.status()["history"]), "rates of the past to be told")

    def killed(self, who):
        stage, _, worker = who.partition("-")
        worker = worker or "1"
        labels = f'stage="{stage}",worker="{worker}"'
        records = f'pvrelay_records_total{{{labels},result="ok"}}'
        before = pipeline.wait_until(lambda: self.look().get(records, 0) > 100 and self.seen[records], f"{who} to have counted")
        self.kill(who)
        pipeline.wait_until(lambda: self.up(stage, worker) == 0, f"{who} to be seen down")
        self.assertEqual([series for series in self.look() if labels in series], [f"pvrelay_stage_up{{{labels}}}"])
        status, _, text = self.monitor.ask("/readyz")
        self.assertEqual(status, 503)
        self.assertRegex(text.splitlines()[0], rf"^{who} has been down for [0-9]+ s$")
        told = next(one for one in self.monitor.status()["stages"] if one["who"] == who)
        self.assertEqual((told["up"], told["restarts"], "counters" in told), (False, 0, False))
        self.assertGreaterEqual(told["down_for_ms"], 0)
        self.start(who)
        pipeline.wait_until(lambda: self.look().get(f"pvrelay_stage_restarts_total{{{labels}}}") == 1, f"{who} to be seen up again")
        pipeline.wait_until(lambda: self.monitor.ask("/readyz")[0] == 200, "the pipeline to be ready again")
        after = pipeline.wait_until(lambda: self.look().get(records) is not None and self.seen[records], f"{who} to count again")
        self.assertGreater(after[0], before[0], "another process")

    def check_metrics(self):
        text = self.monitor.ask("/metrics")[2]
        values, types = samples(text)
        self.assertEqual(set(types), FAMILIES)
        buckets = [(labels, value) for series, value in values.items() if series.startswith("pvrelay_commit_duration_seconds_bucket")
                   for labels in [re.search(r'le="([^"]+)"', series).group(1)]]
        self.assertEqual([bound for bound, _ in buckets], ["0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf"])
        self.assertEqual([value for _, value in buckets], sorted(value for _, value in buckets))
        writer = 'stage="writer",worker="1"'
        self.assertEqual(buckets[-1][1], values[f"pvrelay_commit_duration_seconds_count{{{writer}}}"])
        self.assertGreater(buckets[-1][1], 0)
        self.assertGreater(values[f"pvrelay_commit_duration_seconds_sum{{{writer}}}"], 0)
        self.assertEqual(values['pvrelay_run_records'], self.records)
        self.assertEqual({series for series in values if series.startswith("pvrelay_rejects_total{stage=\"writer\"")},
                         {f'pvrelay_rejects_total{{{writer},reason="{word}"}}' for word in (
                             "malformed_json", "bad_utf8", "duplicate_key", "missing_field", "unknown_field", "wrong_type", "null_value",
                             "integer_range", "unknown_value", "bad_date", "unknown_parent", "constraint", "real_range",
                             "changed_in_target")})
        self.assertEqual({series for series in values if series.startswith("pvrelay_validation_rows_total")},
                         {f'pvrelay_validation_rows_total{{stage="validator",worker="1",result="{word}"}}' for word in ("proved", "mismatch", "missing", "extra", "whole")})
        self.assertEqual({series for series in values if series.startswith("pvrelay_protocol_errors_total{stage=\"reader\"")},
                         {f'pvrelay_protocol_errors_total{{stage="reader",worker="1",kind="{word}"}}' for word in ("malformed", "stray", "content")})
        if shutil.which("promtool") is not None:  # class Prometheus says so if it is missing
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class EndedRun(Watched):
    def test_run(self):
        self.watch(modules=10000)
        for who in ("writer", "reader", "transformer-1", "transformer-2", "validator"):
            self.start(who)
        for who, process in self.stages.items():
            self.assertEqual(process.wait(pipeline.DEADLINE), 3, who)
        pipeline.wait_until(lambda: self.look()['pvrelay_stage_up{stage="writer",worker="1"}'] == 0, "the writer to be seen gone")
        # What was read last may be a second old.
        pipeline.wait_until(lambda: (lambda status, _, text: (status, text.splitlines()[-1]))(*self.monitor.ask("/readyz"))
                            == (503, "the run has ended: complete, but records were rejected"), "the run to have ended")
        told = pipeline.wait_until(lambda: (lambda one: one["runs"][0]["state"] == "complete" and one)(self.monitor.status()), "the run's end to be told")
        run = told["runs"][0]
        self.assertEqual((run["records"], run["rejected"], run["outcome"], run["validated"]), (self.records, 9, 3, self.records - 9))
        self.assertEqual((told["ending"]["error"], told["ending"]["exit_code"], told["ending"]["run"]), ("REJECTED", 3, run["id"]))
        self.assertEqual([(reject["reason"], reject["count"]) for reject in told["rejects"]], [("unknown_value", 7), ("bad_utf8", 2)])
        self.assertEqual(len(told["checkpoints"]), 200)
        self.assertEqual(sum(part["commits"] for part in told["checkpoints"]),
                         pipeline.query(self.target, "SELECT count(*) FROM pvrelay_checkpoint")[0][0])
        self.assertEqual(told["checkpoints"][-1]["number"], run["checkpoint"])  # the end of the run is one, too
        self.assertEqual(sum(part["records"] for part in told["checkpoints"]), self.records)
        self.assertEqual({part["validated"] for part in told["checkpoints"]}, {1})


class Hostile(unittest.TestCase):
    """Texts that come from exports and peers are texts, wherever they end up."""

    def test_texts(self):
        evil = '</script><script>alert(1)</script>"\\\n\x01\u2028'
        shown = '</script><script>alert(1)</script>"\\\\n\\x01\\u2028'
        with pipeline.folder() as root:
            exports = pipeline.generate(root / "exports")
            target = root / "hub.db"
            pipeline.run(exports, target)
            with contextlib.closing(sqlite3.connect(target)) as db:
                db.execute("UPDATE pvrelay_run SET error = CAST(? AS TEXT)", (evil.encode() + b"\xff\xfe",))
                db.commit()
            (root / "d").mkdir()
            run = pipeline.query(target, "SELECT id FROM pvrelay_run")[0][0]
            (root / "d/ended.json").write_text(json.dumps({"run": run, "error": "MALFORMED", "exit_code": 2, "text": evil}))
            report = root / "hub.db-reports/run-1/report.json"
            report.parent.mkdir(parents=True)
            report.write_text(json.dumps({"made_at": evil, "verdict": {"not": "a text"}, "run": {"number": evil}, "outcome": 2}))
            config = pipeline.write_config(root / "config.json", exports, target, root / "d")
            with Monitor("--config", config) as monitor:
                status, headers, body = monitor.ask("/api/status")
                self.assertEqual((status, headers["Content-Type"], headers["X-Content-Type-Options"]), (200, "application/json", "nosniff"))
                told = json.loads(body)
                self.assertEqual(told["ending"]["text"], evil)
                self.assertEqual(told["runs"][0]["error"], shown + "\\xFF\\xFE")
                self.assertEqual((told["report"]["made_at"], told["report"]["path"]), (evil, str(report)))
                line = "the run stopped: MALFORMED: " + shown
                self.assertIn(line, told["reasons"])
                self.assertNotIn("\n", body)
                self.assertTrue(monitor.ask("/readyz")[2].endswith(line + "\n"))

    def test_a_target_that_is_none(self):
        with pipeline.folder() as root:
            (root / "hub.db").write_bytes(b"this is no database at all, whatever its name is" * 100)
            with Monitor("--target", root / "hub.db") as monitor:
                told = monitor.status()
                self.assertEqual((told["runs"], told["target_error"]), ([], f"{root}/hub.db: file is not a database"))
                self.assertEqual(monitor.ask("/healthz")[0], 200)


class Prometheus(unittest.TestCase):
    def test_promtool(self):
        if shutil.which("promtool") is None:
            self.skipTest("no promtool here (Debian: prometheus)")
        with pipeline.folder() as root, Monitor("--run-dir", root) as monitor:
            done = subprocess.run(["promtool", "check", "metrics"], input=monitor.ask("/metrics")[2], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
