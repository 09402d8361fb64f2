# SPDX-License-Identifier: MIT
"""Stages by themselves: late ones, failing ones, several workers in one service, and run after run from a spool."""

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import unittest
import uuid

import pipeline

STAGES = ("reader", "transformer", "writer", "validator")


class Stages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--audits", 10, "--modules-per-audit", 100)
        cls.reference = cls.root / "reference.db"
        pipeline.run(cls.exports, cls.reference, "--run-dir", cls.root / "r")
        cls.rows = pipeline.dump(cls.reference)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def start(self, stage, config, *arguments, environment=None):
        process = subprocess.Popen([pipeline.BIN / f"pvrelay-{stage}", "--config", config, *arguments], stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **(environment or {})})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def configure(self, name, exports=None, **settings):
        """A configuration that names its run, as that of `pvrelay run` and of a manager does."""
        run_dir = self.root / name
        run_dir.mkdir(mode=0o700)
        settings = {"run": str(uuid.uuid4()), "linger_ms": 300, **settings}
        return pipeline.write_config(run_dir / "config.json", exports or self.exports, self.root / f"{name}.db", run_dir, **settings), run_dir

    def assert_ended(self, process, code, text=""):
        _, said = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, code, said)
        self.assertIn(text, said)

    def test_stopped_when_the_writer_says_goodbye(self):
        """A stage that is stopped at the end of the run and killed later: its successor finds nobody, and leaves with the outcome."""
        config, run_dir = self.configure("late")
        processes = {stage: self.start(stage, config) for stage in STAGES if stage != "validator"}
        validator = self.start("validator", config)
        pipeline.wait_until(lambda: pipeline.pid_of(run_dir, "validator") == validator.pid, "the validator")
        pipeline.wait_until(lambda: (run_dir / "ended.json").exists() or processes["reader"].poll() is not None, "the end")
        # Stopped too late to matter or just in time: in both cases the next one must come to the same outcome.
        validator.send_signal(signal.SIGSTOP)
        for process in processes.values():
            self.assert_ended(process, 0)
        validator.kill()
        again = self.start("validator", config)
        self.assert_ended(again, 0)
        self.assertEqual(json.loads((run_dir / "ended.json").read_text()),
                         {"run": json.loads(config.read_text())["run"], "error": "OK", "exit_code": 0, "text": ""})
        pipeline.assert_same_dump(self, pipeline.dump(self.root / "late.db"), self.rows)

    def test_each_stage_comes_after_the_end(self):
        config, run_dir = self.configure("after")
        for process in [self.start(stage, config) for stage in STAGES]:
            self.assert_ended(process, 0)
        before = pipeline.dump(self.root / "after.db")
        for stage in STAGES:
            self.assert_ended(self.start(stage, config), 0)
        self.assertEqual(pipeline.dump(self.root / "after.db"), before)
        self.assertEqual(pipeline.query(self.root / "after.db", "SELECT count(*) FROM pvrelay_run"), [(1,)])

    def test_a_reader_that_fails_before_there_is_a_writer(self):
        """What it cannot go on with reaches a writer that comes later, and everyone else through it."""
        broken = self.root / "broken.json"
        broken.write_text('[{"id": 1,')
        config, run_dir = self.configure("early", [broken])
        reader = self.start("reader", config)
        pipeline.wait_until(lambda: pipeline.pid_of(run_dir, "reader") == reader.pid, "the reader")
        others = [self.start(stage, config) for stage in STAGES if stage != "reader"]
        self.assert_ended(reader, 2, "TRUNCATED: ")
        for process in others:
            self.assert_ended(process, 2, "TRUNCATED: ")
        ended = json.loads((run_dir / "ended.json").read_text())
        self.assertEqual((ended["error"], ended["exit_code"]), ("TRUNCATED", 2))
        # And who comes when all have gone hears of it too.
        self.assert_ended(self.start("validator", config), 2, "the run stopped: TRUNCATED: ")
        # Mended, the same run can be taken up: the writer clears its last words.
        broken.write_bytes(self.exports[0].read_bytes())
        writer = self.start("writer", config)
        pipeline.wait_until(lambda: not (run_dir / "ended.json").exists(), "the writer to take the run up again")
        for process in [writer] + [self.start(stage, config) for stage in STAGES if stage != "writer"]:
            self.assert_ended(process, 0)

    def test_three_transformers_in_one_service(self):
        config, run_dir = self.configure("three", transformers=3, batch_bytes=8192)
        for process in [self.start(stage, config) for stage in STAGES]:
            self.assert_ended(process, 0)
        pipeline.assert_same_dump(self, pipeline.dump(self.root / "three.db"), self.rows)
        self.assertFalse((run_dir / "workers.notify").exists())

    def test_a_worker_that_hangs_starves_the_watchdog(self):
        config, run_dir = self.configure("hang", transformers=2)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(str(self.root / "notify"))
        notify.settimeout(pipeline.DEADLINE)
        environment = {"NOTIFY_SOCKET": str(self.root / "notify"), "WATCHDOG_USEC": "300000"}
        process = self.start("transformer", config, environment=environment)
        said = []

        def hear(word):
            while True:
                said.append(notify.recv(4096).decode())
                if said[-1].startswith(word):
                    return
        hear("READY=1")
        hear("WATCHDOG=1")
        hear("WATCHDOG=1")
        self.assertEqual(said.count("READY=1"), 1)
        os.kill(pipeline.pid_of(run_dir, "transformer-2"), signal.SIGSTOP)
        # The other worker goes on: it tells its status each second and is alive ten times as often.
        said.clear()
        while sum(word.startswith("STATUS=") for word in said) < 3:
            hear("STATUS=")
        self.assertLessEqual(said.count("WATCHDOG=1"), 2)  # what was under way
        process.send_signal(signal.SIGTERM)
        os.kill(pipeline.pid_of(run_dir, "transformer-2"), signal.SIGCONT)
        self.assert_ended(process, 6)

    def test_a_worker_that_dies_takes_the_service_with_it(self):
        config, run_dir = self.configure("dies", transformers=2)
        process = self.start("transformer", config)
        for instance in (1, 2):
            pipeline.wait_until(lambda: pipeline.pid_of(run_dir, f"transformer-{instance}"), "both workers")
        pipeline.kill(pipeline.pid_of(run_dir, "transformer-1"))
        self.assert_ended(process, 70, "worker 1 died by signal 9, Killed; all are started again")
        self.assertIsNone(pipeline.pid_of(run_dir, "transformer-2"))

    def spool(self, name):
        """What a manager does, by hand: say which run is on, and see whether one has ended."""
        run_dir, folder = self.root / name, self.root / f"{name}-in"
        run_dir.mkdir(mode=0o700)
        folder.mkdir()
        config, target = run_dir / "config.json", self.root / f"{name}.db"

        def say(run=None, files=()):
            content = {"target": str(target), "run_dir": str(run_dir), "sources": {"spool": str(folder)}, "linger_ms": 300}
            if run is not None:
                content["run"] = run
                content["sources"]["files"] = [str(path) for path in files]
            (run_dir / "config.json.new").write_text(json.dumps(content))
            (run_dir / "config.json.new").rename(config)

        def ended(run):
            try:
                note = json.loads((run_dir / "ended.json").read_text())
            except (OSError, ValueError):
                return None
            return note if note["run"] == run else None
        say()
        return run_dir, config, target, say, ended

    def test_a_stage_that_slept_over_the_end_of_its_run(self):
        """Nothing of a set that is done gets into the next one's run, whichever stage wakes up then."""
        run_dir, config, target, say, ended = self.spool("slept")
        processes = {stage: self.start(stage, config) for stage in STAGES}
        others = pipeline.generate(self.root / "others", "--audits", 3, "--modules-per-audit", 10, "--seed", 77)
        runs = []
        for stage in ("reader", "transformer", "validator"):
            runs.append(str(uuid.uuid4()))
            who = "transformer-1" if stage == "transformer" else stage
            say(runs[-1], self.exports)
            sleeper = pipeline.wait_until(lambda: pipeline.pid_of(run_dir, who), who)
            pipeline.wait_until(lambda: ended(runs[-1]), "the end")
            os.kill(sleeper, signal.SIGSTOP)
            runs.append(str(uuid.uuid4()))
            say(runs[-1], others)
            pipeline.wait_until(lambda: pathlib.Path(f"{target}-pvrelay.lock").exists(), "the next run's writer")
            os.kill(sleeper, signal.SIGCONT)
            self.assertEqual(pipeline.wait_until(lambda: ended(runs[-1]), "the end")["error"], "OK")
        self.assertEqual(pipeline.query(target, "SELECT id, sum(records) FROM pvrelay_run JOIN pvrelay_source USING (run) GROUP BY run ORDER BY run"),
                         [(run, 1010 if number % 2 == 0 else 33) for number, run in enumerate(runs)])
        for process in processes.values():
            self.assertIsNone(process.poll())

    def test_a_writer_of_another_version(self):
        """Whoever was upgraded alone says so and ends, instead of waiting for somebody whom it cannot understand."""
        zmq = ctypes.CDLL("libzmq.so.5")
        zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
        context = ctypes.c_void_p(zmq.zmq_ctx_new())
        self.addCleanup(zmq.zmq_ctx_term, context)
        message = b"PV\x01" + bytes(60)
        for name in ("single", "spool"):
            if name == "single":
                config, run_dir = self.configure("other-single")
            else:
                run_dir, config, _, say, _ = self.spool("other-spool")
                say(str(uuid.uuid4()), self.exports)
            writer = ctypes.c_void_p(zmq.zmq_socket(context, 1))  # ZMQ_PUB
            self.addCleanup(zmq.zmq_close, writer)
            self.assertEqual(zmq.zmq_bind(writer, f"ipc://{run_dir}/progress.sock".encode()), 0)
            processes = [self.start(stage, config) for stage in STAGES if stage != "writer"]
            pipeline.wait_until(lambda: zmq.zmq_send(writer, message, len(message), 0) and all(p.poll() is not None for p in processes),
                                "all stages to end")
            for process in processes:
                self.assert_ended(process, 1, "VERSION: the writer is of another version of pvrelay (protocol version 1, this program speaks ")

    def test_the_configuration_goes_with_the_manager(self):
        """Idle stages have nobody left to wait for then, whether they have had a run or not."""
        for name, runs in (("unused", 0), ("used", 1)):
            run_dir, config, _, say, ended = self.spool(name)
            processes = {stage: self.start(stage, config) for stage in STAGES}
            for run in [str(uuid.uuid4()) for _ in range(runs)]:
                say(run, self.exports)
                self.assertEqual(pipeline.wait_until(lambda run=run: ended(run), "the end")["error"], "OK")
            for stage in STAGES:
                who = "transformer-1" if stage == "transformer" else stage
                pipeline.wait_until(lambda who=who: pipeline.pid_of(run_dir, who), who)
            config.unlink()
            for stage, process in processes.items():
                self.assertEqual(process.wait(pipeline.DEADLINE), 0, stage)

    def test_run_after_run_from_a_spool(self):
        run_dir, config, target, say, ended = self.spool("spooled")
        processes = {stage: self.start(stage, config) for stage in STAGES}
        broken = self.root / "cut.json"
        broken.write_bytes(self.exports[1].read_bytes()[:-200])
        runs = [str(uuid.uuid4()) for _ in range(5)]
        outcomes = []
        for number, run in enumerate(runs):
            say(run, [broken] if number == 2 else self.exports)
            if number == 3:  # one that is killed between two runs joins the next
                processes["transformer"].kill()
                processes["transformer"].wait()
                processes["transformer"] = self.start("transformer", config)
            outcomes.append(pipeline.wait_until(lambda: ended(run), f"the end of run {number}")["error"])
        self.assertEqual(outcomes, ["OK", "OK", "TRUNCATED", "OK", "OK"])
        for process in processes.values():
            self.assertIsNone(process.poll())
        say()
        starts = {path.name: path.read_text() for path in run_dir.glob("*.starts")}
        self.assertEqual(starts, {"reader.starts": "1\n", "transformer-1.starts": "2\n", "writer.starts": "1\n", "validator.starts": "1\n"})
        self.assertEqual(pipeline.query(target, "SELECT id, state FROM pvrelay_run ORDER BY run"),
                         [(run, "complete") for run in runs if run != runs[2]])
        pipeline.assert_same_dump(self, pipeline.dump(target), self.rows)
        # An idle stage that is asked to leave was interrupted in nothing; they are idle once the counters say so, by having let go of the target.
        pipeline.wait_until(lambda: not pathlib.Path(f"{target}-pvrelay.lock").exists(), "the writer to let go of the target")
        for process in processes.values():
            process.terminate()
        for stage, process in processes.items():
            self.assertIn(process.wait(pipeline.DEADLINE), (0, 6), stage)


if __name__ == "__main__":
    unittest.main()
