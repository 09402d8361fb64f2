# SPDX-License-Identifier: MIT
"""A target that another process holds: it is waited for, said who holds it, up to a limit."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

import managed
import pipeline

WAL_WRITER = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\nc.execute('BEGIN IMMEDIATE')\n" \
             "print('held', flush=True)\nsys.stdin.read()\nc.execute('COMMIT')"


class Reader(threading.Thread):
    """Collects the lines of a pipe, so that a test can wait for one."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.lines = pipe, []
        self.start()

    def run(self):
        for line in self.pipe:
            self.lines.append(line)

    def text(self):
        return "".join(self.lines)


class LockTest(pipeline.TargetTest):
    @contextlib.contextmanager
    def held(self):
        """Another process is in the middle of a transaction that writes; it ends with the block, or with release()."""
        process = subprocess.Popen([sys.executable, "-c", WAL_WRITER, str(self.target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        try:
            self.assertEqual(process.stdout.readline(), "held\n")
            yield process
        finally:
            process.stdin.close()
            process.stdout.close()
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0)

    def status(self):
        return subprocess.run([pipeline.BIN / "pvrelay", "status", "--target", self.target, "--run-dir", self.run_dir], capture_output=True,
                              text=True, timeout=pipeline.DEADLINE).stdout

    def start(self, exports, *options, run_dir=None):
        process = subprocess.Popen(pipeline.run_command(exports, self.target, "--run-dir", run_dir or self.run_dir, *options),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process, Reader(process.stderr)


class ByHand(LockTest):
    def test_a_transaction_of_others_is_waited_for(self):
        """Who it is is said, once, and shown by status; then all ends as if nothing had been."""
        exports = self.exports("--preset", "production")
        pipeline.run(exports, self.target)
        with self.held() as other:
            process, said = self.start(exports)
            pipeline.wait_until(lambda: "waiting for it" in said.text(), "word of the wait")
            self.assertIn(f"{self.target}: locked by process {other.pid} ({pathlib.Path(sys.executable).name} ", said.text())
            self.assertIn("; waiting for it, up to 60 s", said.text())
            pipeline.wait_until(lambda: f"last error: {self.target}: locked by process {other.pid} " in self.status(), "status to show it")
            self.assertIsNone(process.poll())
        self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0)
        self.assertEqual(said.text().count("waiting for it"), 1, said.text())

    def test_a_reader_of_a_database_without_wal(self):
        """Where SQLite asks no busy handler: WAL mode cannot be turned on as long as somebody reads."""
        exports = self.exports("--preset", "production")
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", self.target], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(self.target, isolation_level=None)) as reader:
            self.assertEqual(reader.execute("PRAGMA journal_mode").fetchall(), [("delete",)])
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM el_modules").fetchall()
            process, said = self.start(exports)
            pipeline.wait_until(lambda: "waiting for it" in said.text() or process.poll() is not None, "word of the wait")
            self.assertIsNone(process.poll(), said.text())
            reader.execute("COMMIT")
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0, said.text())

    def test_the_limit(self):
        exports = self.exports("--preset", "production")
        pipeline.run(exports, self.target)
        with self.held() as other:
            for limit in (0, 1):
                done = pipeline.run(exports, self.target, "--run-dir", self.run_dir, "--lock-wait", limit, expect=5)
                self.assertIn("pvrelay: TARGET_LOCKED: ", done.stderr)
            self.assertIn(f"locked by process {other.pid} ", done.stderr)
            self.assertIn("; waiting for it, up to 1 s", done.stderr)
        pipeline.run(exports, self.target, "--run-dir", self.run_dir)

    def test_interrupted_while_it_waits(self):
        exports = self.exports("--preset", "production")
        pipeline.run(exports, self.target)
        with self.held():
            process, said = self.start(exports)
            pipeline.wait_until(lambda: "waiting for it" in said.text(), "word of the wait")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 6, said.text())
        self.assertNotIn("TARGET_LOCKED", said.text())

    def test_the_second_terminal(self):
        """Who holds the target, and what shows it, is said at once; the second run waits, and ends like any other."""
        exports = self.exports("--modules", 30000)
        config = pipeline.write_config(self.root / "c.json", exports, self.target, self.run_dir, batch_bytes=65536, window_bytes=262144)
        first, _ = self.start(exports, "--config", config)
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) >= 1, "a checkpoint")
        first.send_signal(signal.SIGSTOP)
        os.kill(writer := pipeline.pid_of(self.run_dir, "writer"), signal.SIGSTOP)
        try:
            second, said = self.start(exports)  # of the same run folder
            pipeline.wait_until(lambda: "\n" in said.text(), "word of the wait", 10)
            self.assertIn(f"pvrelay: {self.target} is in use: {self.run_dir}/run.lock: held by process {first.pid} (pvrelay run ", said.text())
            self.assertIn(f"; `pvrelay top --run-dir {self.run_dir}` shows it; waiting up to 60 s\n", said.text())
            third, heard = self.start(exports, "--lock-wait", 30, run_dir=self.root / "e")
            pipeline.wait_until(lambda: "waiting for it" in heard.text(), "word of the third's wait")
            self.assertIn(f"{self.target}: held by process {writer} (pvrelay-writer --config ", heard.text())
            self.assertIn(f"; `pvrelay top --run-dir {self.run_dir}` shows it; waiting for it, up to 30 s", heard.text())
            third.send_signal(signal.SIGTERM)
            self.assertEqual(third.wait(timeout=pipeline.DEADLINE), 6)
            for command in (("seal",), ("rollback", "--to", "0"), ("checkpoint", "x")):
                done = subprocess.run([pipeline.BIN / "pvrelay", *command, "--target", self.target], capture_output=True, text=True,
                                      timeout=pipeline.DEADLINE)
                self.assertEqual(done.returncode, 5)
                self.assertIn(f"pvrelay: TARGET_LOCKED: {self.target}: held by process {writer} (pvrelay-writer ", done.stderr)
                self.assertIn(f"; `pvrelay top --run-dir {self.run_dir}` shows it; wait until it ends, or stop it\n", done.stderr)
        finally:
            os.kill(writer, signal.SIGCONT)
            first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(timeout=pipeline.DEADLINE), 0)
        self.assertEqual(second.wait(timeout=pipeline.DEADLINE), 0, said.text())


class Managed(LockTest):
    def test_a_managed_run_waits_for_as_long_as_it_takes(self):
        """The watchdog is fed and the status says why, though a transaction takes longer than a watchdog's time; the pipeline goes on."""
        exports = self.exports("--modules", 20000)
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        with managed.Managed(self.root, exports, self.target, batch_bytes=65536, window_bytes=262144) as run:
            run.start_manager()
            run.until(lambda: "READY=1" in run.said, "READY=1")
            self.assertIn('"lock_wait_s": 86400', (run.run_dir / "config.json").read_text())
            run.start_stage("reader")
            run.start_stage("validator")
            heard = self.root / "writer-notify"
            with contextlib.closing(self.listener(heard)) as systemd:
                self.start_writer(run, heard)
                run.until(self.has_begun, "the run's beginning")
                with self.held() as other:
                    run.start_stage("transformer")  # the first batch comes to a target that is locked
                    run.until(lambda: self.says(systemd, f"STATUS=waiting: {self.target}: locked by process {other.pid} "), "its status")
                    self.heard.clear()
                    run.until(lambda: self.says(systemd, "WATCHDOG=1"), "a sign of life")
                    self.heard.clear()
                    run.until(lambda: self.says(systemd, "WATCHDOG=1"), "another one")
                    self.assertEqual(run.ended, {})
                    self.assertEqual(run.text().count("waiting for it, up to 24 h"), 1, run.text())
                run.finish(self, 0)
                self.assertIn("the lock is free; going on", run.text())
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))
        pipeline.assert_accounted(self, self.target)

    def test_stopped_while_it_waits(self):
        """SIGTERM ends the wait at once; started again it goes on."""
        exports = self.exports("--modules", 20000)
        with managed.Managed(self.root, exports, self.target, batch_bytes=65536, window_bytes=262144) as run:
            run.start_manager()
            run.until(lambda: "READY=1" in run.said, "READY=1")
            for name in ("reader", "writer", "validator"):
                run.start_stage(name)
            run.until(self.has_begun, "the run's beginning")
            with self.held():
                run.start_stage("transformer")
                run.until(lambda: "waiting for it" in run.text(), "word of the wait")
                begun = time.monotonic()
                run.stop(self)
                self.assertLess(time.monotonic() - begun, 20)
            self.assertEqual(set(run.ended.values()), {6}, run.text())
            self.assertNotIn("TARGET_LOCKED", run.text())
            run.start()
            run.finish(self, 0)
        pipeline.assert_accounted(self, self.target)

    def test_the_lock_file_is_waited_for_too(self):
        exports = self.exports("--preset", "production")
        with open(f"{self.target}-pvrelay.lock", "w") as lock:
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            with managed.Managed(self.root, exports, self.target) as run:
                run.start()
                run.until(lambda: f"{self.target}: held by process {os.getpid()} (" in run.text(), "word of the wait")
                os.unlink(lock.name)
                fcntl.flock(lock, fcntl.LOCK_UN)
                run.finish(self, 0)

    def has_begun(self):
        try:
            return self.target.exists() and pipeline.query(self.target, "SELECT count(*) FROM pvrelay_run")[0][0] > 0
        except sqlite3.OperationalError:
            return False

    def listener(self, path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listener.bind(str(path))
        self.heard = []
        return listener

    def says(self, systemd, text):
        while True:
            try:
                self.heard += systemd.recv(4096).decode().split("\n")
            except BlockingIOError:
                return any(line.startswith(text) for line in self.heard)

    @staticmethod
    def start_writer(run, heard):
        run._spawn("writer", [pipeline.BIN / "pvrelay-writer", "--config", run.run_dir / "config.json"], {"NOTIFY_SOCKET": str(heard)})


if __name__ == "__main__":
    unittest.main()
