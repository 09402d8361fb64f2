# SPDX-License-Identifier: MIT
"""Processes are killed, stopped and interrupted at random: the target ends as an undisturbed run's, then a second export, then a rollback.

What is struck: one stage, two, all of them, the supervisor, a rollback. With what: SIGKILL; SIGSTOP for milliseconds or for longer than the
pipeline's patience; storms of SIGTERM and SIGINT. With 1 to 3 transformers, undo on or off, and whatever size of batch.
"""

import json
import os
import signal
import time

import support.campaign as campaign
import support.state as state

pipeline = campaign.pipeline

MODULES = 1200
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=5", "orphan-module=4", "duplicate-module=6", "wrong-type=3", "nul-character=2")]
QUICK = {"resend_ms": 100, "linger_ms": 200, "heartbeat_ms": 20}
STEPS = ("first", "second")
# What `pvrelay run` may end with while it is struck: rejects (the export has some), interrupted, or it gave up on a stage that was killed
# over and over. Then the same command is given again.
AGAIN = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 6}


def prepare(folder):
    """Two editions of an export, and what an undisturbed run makes of them."""
    exports = {step: pipeline.generate(folder / step, "--modules", MODULES, "--modules-per-audit", 200, "--revision", 2 * place, *TRAPS)
               for place, step in enumerate(STEPS)}
    expected = {}
    for step in STEPS:
        pipeline.run(exports[step], folder / "reference.db", "--run-dir", folder / "r", expect=3)
        expected[step] = state.of(folder / "reference.db", state.last_run(folder / "reference.db"))
    return exports, expected


class Storm:
    """What strikes a command while it works."""

    def __init__(self, case, run_dir, transformers):
        self.case, self.chance, self.run_dir = case, case.chance, run_dir
        self.stages = ["reader", "writer", "validator", *(f"transformer-{number + 1}" for number in range(transformers))]
        self.kinds = case.chance.choices(("kill", "kill-two", "kill-all", "stop", "stop-long", "storm", "supervisor"), (8, 3, 1, 6, 1, 3, 1), k=4)

    def send(self, pid, number):
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        self.case.count(faults=1)
        return True

    def stop(self, pid, seconds):
        if self.send(pid, signal.SIGSTOP):
            time.sleep(seconds)
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def strike(self, process):
        chance, kind = self.chance, self.chance.choice(self.kinds)
        found = [pid for pid in (pipeline.pid_of(self.run_dir, stage) for stage in self.stages) if pid]
        chosen = chance.sample(found, min(len(found), {"kill-two": 2, "kill-all": len(self.stages)}.get(kind, 1)))
        if kind.startswith("kill"):
            for pid in chosen:
                self.send(pid, signal.SIGKILL)
        elif kind == "stop":
            for pid in chosen or [process.pid]:
                self.stop(pid, chance.uniform(0.001, 0.02))
        elif kind == "stop-long":
            for pid in chosen:
                self.stop(pid, chance.uniform(0.15, 0.5))
        elif kind == "storm":
            for _ in range(chance.randint(2, 8)):
                for pid in chosen:
                    self.send(pid, chance.choice((signal.SIGTERM, signal.SIGINT)))
                time.sleep(chance.expovariate(1000))
        elif chance.random() < 0.3:
            self.stop(process.pid, chance.uniform(0.001, 0.1))
        else:
            self.send(process.pid, chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))


def struck(case, storm, command, log, faults, again):
    """The command under the storm, given again until it comes through; from `faults` strikes on it is left alone. Its last exit code."""
    end = time.monotonic() + pipeline.DEADLINE
    while True:
        with open(log, "ab") as errors:
            process = case.start(command, stderr=errors)
        while process.poll() is None:
            assert time.monotonic() < end, f"no end in sight: {' '.join(map(str, command))}\n{log.read_text(errors='replace')[-4000:]}"
            if faults <= 0:
                try:
                    process.wait(0.5)
                except campaign.subprocess.TimeoutExpired:
                    pass
                continue
            try:
                process.wait(min(case.chance.expovariate(100), 0.1))
            except campaign.subprocess.TimeoutExpired:
                struck_before = case.counts.get("faults", 0)
                storm.strike(process)
                faults -= case.counts.get("faults", 0) > struck_before  # not if nobody was there yet
        if process.returncode not in again:
            return process.returncode


def one_target(case):
    """Both exports onto one target under fire; then, with undo, a rollback under fire."""
    chance = case.chance
    exports, expected = case.shared
    target, run_dir, log = case.folder / "hub.db", case.folder / "r", case.folder / "log"
    transformers, undo = chance.randint(1, 3), chance.choice(("on", "on", "off"))
    config = case.folder / "c.json"
    config.write_text(json.dumps({**QUICK, "batch_bytes": chance.choice((1, 1000, 2000, 5000, 20000)), "window_bytes": 65536, "undo": undo,
                                  "transformers": transformers}))
    storm = Storm(case, run_dir, transformers)
    for step in STEPS:
        run = state.last_run(target) + 1
        command = pipeline.run_command(exports[step], target, "--config", config, "--run-dir", run_dir)
        code = struck(case, storm, command, log, chance.randint(10, 60), AGAIN)
        case.count(inputs=1)
        assert code == 3, f"{step} export: `pvrelay run` ended with {code}\n{log.read_text(errors='replace')[-4000:]}"
        state.assert_idle_after(target, run)
        state.assert_same(expected[step], state.of(target, run), f"{step} export ({transformers} transformers, undo {undo})")
    state.assert_sound(target, "after both")
    if undo == "on":
        end_of_first = pipeline.query(target, "SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run < ?", run)[0][0]
        command = [pipeline.BIN / "pvrelay", "rollback", "--target", target, "--to", end_of_first]
        code = struck(case, Killer(case), command, log, chance.randint(1, 4), {-signal.SIGKILL})
        case.count(inputs=1)
        assert code == 0, f"`pvrelay rollback` ended with {code}\n{log.read_text(errors='replace')[-4000:]}"
        state.assert_same({name: rows for name, rows in expected["first"].items() if name not in state.BOOKS}, pipeline.dump(target), "rollback")
        state.assert_sound(target, "after the rollback")


class Killer:
    """Kills a command."""

    def __init__(self, case):
        self.case = case

    def strike(self, process):
        process.kill()
        self.case.count(faults=1)


campaign.main(one_target, __doc__, prepare)
