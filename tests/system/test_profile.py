# SPDX-License-Identifier: MIT
"""`pvrelay run --profile`: figures that agree with each other and with what was done to the stages."""

import json
import os
import re
import signal
import subprocess
import unittest

import pipeline

HEAD = ["stage", "records", "CPU s", "CPU µs/record", "rec/s at 100 % CPU", "working s", "awaiting input s", "awaiting output s"]
MODULES = 50000


def number(text):
    return float(text.replace(",", ""))


def profile(out):
    """The table as {stage: {column: number}}, and the three sentences below it."""
    lines = out[out.index("\nstage  "):].splitlines()[1:]
    end = lines.index("")
    rows = {}
    for line in lines[:end]:
        cells = re.split(r"  +", line)
        if not rows and cells == HEAD:
            continue
        assert len(cells) == len(HEAD), line
        rows[cells[0]] = dict(zip(HEAD[1:], map(number, cells[1:])))
    return rows, lines[end + 1:]


class Profile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "e", "--modules", MODULES)
        cls.one = profile(pipeline.run(cls.exports, cls.root / "one.db", "--profile").stdout)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def check(self, rows, told, records):
        """What holds for every profile of a run in which nobody died and nothing was sent twice."""
        duration = float(re.match(r"The run took ([\d.]+) s", told[2]).group(1))
        for stage, row in rows.items():
            if not stage.startswith("transformer"):
                self.assertEqual(row["records"], records, stage)
            if stage == "transformers":
                continue  # a sum of several lives
            life = row["working s"] + row["awaiting input s"] + row["awaiting output s"]
            self.assertLess(life, duration + 0.002, f"{stage} cannot have lived longer than the run")
            self.assertGreater(life, duration / 2, f"{stage} lived from the beginning to the end")
            self.assertGreater(row["CPU s"], 0, stage)
        for stage, row in rows.items():
            if row["records"] > 0:
                self.assertAlmostEqual(row["CPU µs/record"], row["CPU s"] * 1e6 / row["records"], delta=0.006 + 600 / row["records"], msg=stage)
                self.assertAlmostEqual(row["rec/s at 100 % CPU"] * row["CPU s"] / row["records"], 1, delta=0.001 / row["CPU s"] + 0.001, msg=stage)
        busiest = max((stage for stage in rows if stage != "transformers"), key=lambda stage: rows[stage]["working s"])
        who = busiest if busiest.startswith("transformer-") else "the " + busiest
        self.assertRegex(told[0], rf"\AThe bottleneck is {who}: at work [\d.]+ % of its time, [\d.]+ s, longer than any other\.\Z")
        cpu = sum(row["CPU s"] for stage, row in rows.items() if stage != "transformers")
        together = re.match(r"\AAll stages together took ([\d.]+) s of CPU: ([\d.]+) of \d+ processors?\.\Z", told[1])
        self.assertAlmostEqual(float(together.group(1)), cpu, delta=0.06)
        self.assertAlmostEqual(float(together.group(2)), cpu / duration, delta=0.06)

    def test_the_figures_agree(self):
        rows, told = self.one
        self.assertEqual(list(rows), ["reader", "transformer", "writer", "validator"])
        records = pipeline.query(self.root / "one.db", "SELECT sum(records) FROM pvrelay_source")[0][0]
        self.check(rows, told, records)
        self.assertEqual(rows["transformer"]["records"], records)
        phases = re.match(r"\AThe run took ([\d.]+) s: ([\d.]+) s to look through the exports, ([\d.]+) s to commit all records, "
                          r"([\d.]+) s to build indexes and finish the proof, ([\d.]+) s to leave\.\Z", told[2])
        whole, *parts = map(float, phases.groups())
        self.assertAlmostEqual(whole, sum(parts), delta=0.06)

    def test_nothing_is_said_unless_asked(self):
        self.assertNotIn("CPU", pipeline.run(self.exports, self.root / "quiet.db").stdout)

    def test_more_transformers_cost_the_same_a_record(self):
        rows, told = profile(pipeline.run(self.exports, self.root / "four.db", "--profile", "--transformers", 4).stdout)
        workers = [f"transformer-{i}" for i in range(1, 5)]
        self.assertEqual(list(rows), ["reader", *workers, "transformers", "writer", "validator"])
        records = pipeline.query(self.root / "four.db", "SELECT sum(records) FROM pvrelay_source")[0][0]
        self.check(rows, told, records)
        self.assertEqual(rows["transformers"]["records"], records)
        for column in HEAD[1:3] + HEAD[5:]:
            self.assertAlmostEqual(rows["transformers"][column], sum(rows[worker][column] for worker in workers), delta=0.003, msg=column)
        # To start a process costs some milliseconds: four of them at least are no record's.
        self.assertLess(rows["transformers"]["CPU s"], 3 * self.one[0]["transformer"]["CPU s"] + 0.2)

    def test_a_stopped_writer_makes_the_reader_wait_for_output(self):
        run_dir = self.root / "r"
        target = self.root / "stopped.db"
        config = pipeline.write_config(self.root / "stopped.json", self.exports, target, run_dir, batch_bytes=1 << 16, window_bytes=1 << 18,
                                       resend_ms=600000)
        process = subprocess.Popen(pipeline.run_command([], target, "--config", config, "--run-dir", run_dir, "--profile"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def waited():
            told = json.loads(subprocess.run([pipeline.BIN / "pvrelay", "status", "--run-dir", run_dir, "--json"], capture_output=True,
                                             text=True, check=True).stdout)
            return [stage["counters"]["wait_output_us"] for stage in told["stages"] if stage["stage"] == "reader" and stage["up"]]

        try:
            pipeline.wait_until(lambda: pipeline.checkpoints(target), "a first commit")
            writer = pipeline.pid_of(run_dir, "writer")
            os.kill(writer, signal.SIGSTOP)
            try:
                before, = pipeline.wait_until(waited, "the reader to answer")
                pipeline.wait_until(lambda: waited() > [before + 1000000], "the reader to have waited for a second")
            finally:
                os.kill(writer, signal.SIGCONT)
            out, err = process.communicate(timeout=pipeline.DEADLINE)
        finally:
            process.kill()
        self.assertEqual((process.returncode, err), (0, ""))
        rows, told = profile(out)
        self.check(rows, told, pipeline.query(target, "SELECT sum(records) FROM pvrelay_source")[0][0])
        self.assertGreater(rows["reader"]["awaiting output s"], 1)
        self.assertGreater(rows["transformer"]["awaiting input s"] + rows["transformer"]["awaiting output s"], 1)
        self.assertLess(rows["reader"]["working s"], rows["reader"]["awaiting output s"])


if __name__ == "__main__":
    unittest.main()
