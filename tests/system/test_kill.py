# SPDX-License-Identifier: MIT
"""kill -9 any stage, any number of times, also the supervisor: same database as an uninterrupted run."""

import os
import random
import signal
import subprocess
import unittest

import pipeline

MODULES = int(os.environ.get("PVRELAY_KILL_MODULES", "200000"))
KILLS = int(os.environ.get("PVRELAY_KILLS", "48"))
SEED = int(os.environ.get("PVRELAY_SEED", "1"))


class Kill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--modules", MODULES)
        # Small batches and a small window: enough commits for all the kills.
        cls.config = pipeline.write_config(cls.root / "small.json", cls.exports, cls.root / "unused.db", cls.root / "unused",
                                           batch_bytes=max(16384, MODULES * 420 // 1280), window_bytes=1 << 20, resend_ms=200)
        reference = cls.root / "reference.db"
        pipeline.run(cls.exports, reference, "--config", cls.config, "--run-dir", cls.root / "r")
        cls.reference = pipeline.dump(reference)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def start(self, target, run_dir):
        return subprocess.Popen(pipeline.run_command(self.exports, target, "--config", self.config, "--run-dir", run_dir),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def moved_on(self, process, target, seen):
        """Wait until there are more checkpoints than `seen`; returns how many there are."""
        def more():
            if process.poll() is not None:
                raise AssertionError(f"pvrelay run ended early with {process.returncode}: {process.stderr.read()}")
            count = pipeline.checkpoints(target)
            return count if count > seen else 0
        return pipeline.wait_until(more, f"a checkpoint after {seen}")

    def finish(self, process, target):
        _, errors = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 0, errors)
        pipeline.assert_same_dump(self, self.reference, pipeline.dump(target))
        pipeline.assert_accounted(self, target)

    def test_stages(self):
        """Each stage in turn, then random ones; a kill only after the run has moved on since the last one."""
        target, run_dir = self.root / "stages.db", self.root / "d1"
        chance = random.Random(SEED)
        process = self.start(target, run_dir)
        self.addCleanup(process.kill)
        killed = {stage: 0 for stage in pipeline.STAGES}
        seen = 0
        for turn in range(KILLS):
            stage = pipeline.STAGES[turn % 4] if turn < KILLS // 2 else chance.choice(pipeline.STAGES)
            seen = self.moved_on(process, target, seen)
            pid = pipeline.wait_until(lambda: pipeline.pid_of(run_dir, stage), f"{stage} to be there")
            killed[stage] += pipeline.kill(pid)
            pipeline.wait_until(lambda: pipeline.pid_of(run_dir, stage) != pid, f"{stage} to be gone")
        self.assertGreaterEqual(sum(killed.values()), min(KILLS, 40), killed)
        self.assertTrue(all(killed.values()), killed)
        self.finish(process, target)

    def test_stops(self):
        """A stage that is asked to stop (as by `systemctl restart`) drains; its successor goes on."""
        target, run_dir = self.root / "stops.db", self.root / "d4"
        process = self.start(target, run_dir)
        self.addCleanup(process.kill)
        seen = 0
        for turn in range(12):
            stage = pipeline.STAGES[turn % 4]
            seen = self.moved_on(process, target, seen)
            pid = pipeline.wait_until(lambda: pipeline.pid_of(run_dir, stage), f"{stage} to be there")
            os.kill(pid, signal.SIGTERM)
            pipeline.wait_until(lambda: pipeline.pid_of(run_dir, stage) != pid, f"{stage} to be gone")
        self.finish(process, target)

    def test_supervisor(self):
        """`pvrelay run` itself, killed and given again."""
        target, run_dir = self.root / "supervisor.db", self.root / "d2"
        seen = 0
        for _ in range(6):
            process = self.start(target, run_dir)
            seen = self.moved_on(process, target, seen)
            process.kill()
            process.communicate()
        self.finish(self.start(target, run_dir), target)
        self.assertEqual(pipeline.query(target, "SELECT count(*), min(state) FROM pvrelay_run"), [(1, "complete")])

    def test_interrupt(self):
        """Ctrl-C: drained, exit 6; the same command continues."""
        target, run_dir = self.root / "interrupt.db", self.root / "d3"
        process = self.start(target, run_dir)
        pipeline.wait_until(lambda: pipeline.checkpoints(target) >= 3, "three checkpoints")
        process.terminate()
        _, errors = process.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(process.returncode, 6, errors)
        self.assertIn("the same command continues", errors)
        self.assertEqual(pipeline.query(target, "SELECT state FROM pvrelay_run"), [("streaming",)])
        self.finish(self.start(target, run_dir), target)


if __name__ == "__main__":
    unittest.main()
