# SPDX-License-Identifier: MIT
"""Four daemons started by hand, in every one of the 24 orders, from one configuration file; with three transformers too."""

import itertools
import subprocess
import unittest

import pipeline

PROGRAMS = ("reader", "transformer", "writer", "validator")


class Orders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--preset", "production")
        pipeline.run(cls.exports, cls.root / "reference.db")
        cls.reference = pipeline.dump(cls.root / "reference.db")

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def start_in_order(self, number, order, transformers):
        """Each is started when the one before it holds its lock, so the order is the real one."""
        target, run_dir = self.root / f"{transformers}-{number}.db", self.root / f"d{transformers}-{number}"
        config = pipeline.write_config(self.root / f"{transformers}-{number}.json", self.exports, target, run_dir,
                                       transformers=transformers)
        processes = []
        for program in order:
            for instance in range(1, transformers + 1) if program == "transformer" else (0,):
                arguments = ["--instance", str(instance)] if instance else []
                process = subprocess.Popen([pipeline.BIN / f"pvrelay-{program}", "--config", config, *arguments],
                                           stderr=subprocess.PIPE, text=True)
                who = f"{program}-{instance}" if instance else program
                pipeline.wait_until(lambda p=process, w=who: p.poll() is not None or pipeline.pid_of(run_dir, w) == p.pid,
                                    f"{who} to start")
                processes.append((who, process))
        for who, process in processes:
            _, errors = process.communicate(timeout=pipeline.DEADLINE)
            self.assertEqual(process.returncode, 0, f"{who} of {order}: {errors}")
        pipeline.assert_same_dump(self, self.reference, pipeline.dump(target))
        pipeline.assert_accounted(self, target)

    def test_one_transformer(self):
        for number, order in enumerate(itertools.permutations(PROGRAMS)):
            with self.subTest(order=order):
                self.start_in_order(number, order, 1)

    def test_three_transformers(self):
        for number, order in enumerate(itertools.permutations(PROGRAMS)):
            with self.subTest(order=order):
                self.start_in_order(number, order, 3)


if __name__ == "__main__":
    unittest.main()
