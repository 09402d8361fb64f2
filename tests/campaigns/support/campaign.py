# SPDX-License-Identifier: MIT
"""What every campaign is: seeded cases, one after the other, until the time is up; the first that fails ends it and can be repeated alone.

A campaign is a program tests/campaigns/NAME.py. It gives main() a function that does one case; all that is random in it comes from
case.chance, which depends on nothing but the campaign's seed and the number of the case. Its last line is `NAME: key=value ...`; faults,
inputs and seconds are always there. Exit code 0: no case failed; 1: one did; 77: it cannot run here, and says why. The whole of one:

    import support.campaign as campaign

    def one_case(case):
        exports = ...                       # below case.folder
        done = case.run([campaign.pipeline.BIN / "pvrelay", "run", ...])
        case.count(faults=1, inputs=1)
        assert done.returncode == 0, done.stderr

    campaign.main(one_case, __doc__)
"""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import queue
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "tests/system"), str(ROOT / "tests/mutants")]

import pipeline  # noqa: E402

SKIPPED = 77


class Skip(Exception):
    """This campaign cannot run here; the text says why."""


class Case:
    """One case: its number, its randomness, a folder of its own (short enough for sockets), and what it counts."""

    def __init__(self, arguments, number, shared):
        self.number, self.seconds, self.shared, self._until = number, arguments.seconds, shared, arguments.end
        self.chance = random.Random(f"{arguments.seed}/{number}")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pvr-", dir="/tmp"))
        self.counts = {}
        self._at_end = contextlib.ExitStack()

    def count(self, **counts):
        """Add to what the summary counts: faults (what was done to the product), inputs (what it was given), or a name of the campaign's own."""
        for name, more in counts.items():
            self.counts[name] = self.counts.get(name, 0) + more

    def is_late(self):
        """The time is up: a case of many parts may leave the rest. Never so if it is a case that is repeated."""
        return time.monotonic() >= self._until

    def start(self, command, environment=None, **options):
        """A process that is gone when the case is."""
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        process = subprocess.Popen(list(map(str, command)), env={**os.environ, **(environment or {})}, **options)
        self._at_end.callback(_end, process)
        return process

    def run(self, command, environment=None, timeout=60, **options):
        """A command, to its end; all it printed in .stdout and .stderr. One that hangs fails the case."""
        return subprocess.run(list(map(str, command)), env={**os.environ, **(environment or {})}, text=True, errors="replace",
                              capture_output=True, timeout=timeout, **options)

    def on_end(self, function, *arguments):
        self._at_end.callback(function, *arguments)

    def close(self, keep):
        self._at_end.close()
        _sweep(self.folder)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _end(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def _sweep(folder):
    """End what still works in this case's folder: daemons whose supervisor was killed."""
    word = os.fsencode(str(folder)) + b"/"
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if word in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                    os.kill(int(entry.name), signal.SIGKILL)


def _work(function, arguments, shared, first, results):
    """A worker: every jobs-th case."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    number = first
    while True:
        case = Case(arguments, number, shared)
        failure = None
        try:
            function(case)
        except BaseException:
            failure = traceback.format_exc()
        case.close(keep=failure is not None)
        results.put((number, case.counts, failure, str(case.folder)))
        if failure or arguments.case is not None or time.monotonic() >= arguments.end:
            return
        number += arguments.jobs


def _parse(name, description):
    parser = argparse.ArgumentParser(prog=name, description=description.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(os.environ.get("PVRELAY_SEED", "1")), help="what all randomness comes from")
    parser.add_argument("--seconds", type=float, default=10, help="begin no case after this time (default %(default)s)")
    parser.add_argument("--bin", type=pathlib.Path, default=pipeline.BIN, help="folder of the programs (default %(default)s)")
    parser.add_argument("--case", type=int, help="only this case")
    parser.add_argument("--jobs", type=int, default=1, help="so many cases at once")
    arguments = parser.parse_args()
    arguments.end = time.monotonic() + arguments.seconds
    arguments.bin = pipeline.BIN = arguments.bin.resolve()
    if arguments.case is not None:
        arguments.jobs, arguments.end = 1, float("inf")
    return arguments


def last_line(name, counts, seconds):
    print(f"{name}: " + " ".join(f"{key}={value}" for key, value in {"faults": 0, "inputs": 0, **counts, "seconds": round(seconds)}.items()),
          flush=True)


def main(function, description, prepare=None):
    """Do cases until the time is up; prepare(folder) makes, once, what they share (case.shared)."""
    name = pathlib.Path(sys.argv[0]).stem
    arguments = _parse(name, description)
    begin = time.monotonic()
    with pipeline.folder() as folder:
        try:
            shared = prepare(folder) if prepare else None
        except Skip as reason:
            print(f"{name}: skipped: {reason}")
            sys.exit(SKIPPED)
        counts, failures = _drive(name, function, arguments, shared, begin)
    for number, failure, kept in failures:
        print(f"{failure}\n{name}: case {number} failed; its folder is kept: {kept}\n{name}: again: " + shlex.join(
            [sys.executable, os.path.relpath(sys.argv[0]), "--seed", str(arguments.seed), "--case", str(number), "--bin",
             os.path.relpath(arguments.bin)]))
    last_line(name, counts, time.monotonic() - begin)
    sys.exit(1 if failures else 0)


def _drive(name, function, arguments, shared, begin):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    first = arguments.case if arguments.case is not None else 0
    workers = [context.Process(target=_work, args=(function, arguments, shared, first + job, results)) for job in range(arguments.jobs)]
    for worker in workers:
        worker.start()
    counts, failures, told = {"cases": 0}, [], begin
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            number, more, failure, kept = results.get(timeout=0.2)
        except queue.Empty:
            if not alive:
                break
            continue
        counts["cases"] += 1
        for key, value in more.items():
            counts[key] = counts.get(key, 0) + value
        if failure:
            failures.append((number, failure, kept))
            for worker in workers:
                worker.terminate()
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{name}: {told - begin:.0f} s: " + ", ".join(f"{value:,} {key}" for key, value in counts.items()), flush=True)
    if not failures and any(worker.exitcode for worker in workers):
        failures.append((first, f"a worker ended with {[worker.exitcode for worker in workers]}", ""))
    return counts, failures
