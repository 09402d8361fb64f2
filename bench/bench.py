#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replay a big export with `pvrelay run`, with undo and without, in turn; replay it again; take it back. Times, rates and the sum of all
processes' peak memory."""

import argparse
import contextlib
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time


def children(pid):
    """Process ids below pid, without pid."""
    try:
        below = [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                 for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return below + [each for child in below for each in children(child)]


def peak_kib(pid):
    """Name and VmHWM (peak resident memory, KiB) of a process."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) if "VmHWM" in fields else None


class Meter(threading.Thread):
    """Notes the peak memory of a process and all below it until it ends; VmHWM only grows, so 20 ms apart is close enough."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.over = threading.Event()
        self.peaks = {}

    def run(self):
        while not self.over.wait(0.02):
            for pid in [self.pid, *children(self.pid)]:
                peak = peak_kib(pid)
                if peak is not None:
                    self.peaks[pid] = max(peak, self.peaks.get(pid, 0))


def timed(command):
    """Seconds and MiB of a command that must succeed."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        meter = Meter(process.pid)
        meter.start()
        code = process.wait()
    seconds = time.monotonic() - began
    meter.over.set()
    meter.join()
    if code != 0:
        raise SystemExit(f"bench: {' '.join(map(str, command))} ended with {code}")
    return seconds, sum(meter.peaks.values()) / 1024


class Figures:
    """What was measured, by name, in the order of the first measurement."""

    def __init__(self):
        self.taken = {}

    def take(self, name, command):
        self.taken.setdefault(name, []).append(timed(command))

    def median(self, name):
        return statistics.median(seconds for seconds, _ in self.taken[name])

    def print(self, records, size):
        print(f"{'':24} {'median s':>9} {'min-max':>13} {'records/s':>10} {'MB/s':>6} {'peak MiB':>9}")
        for name, taken in self.taken.items():
            times = [seconds for seconds, _ in taken]
            median = statistics.median(times)
            span = f"{min(times):.2f}-{max(times):.2f}"
            print(f"{name:24} {median:9.2f} {span:>13} {records / median:10.0f} {size / 1e6 / median:6.0f}"
                  f" {max(mib for _, mib in taken):9.0f}")


def stored_bytes(target):
    """Bytes of undo, and of the rows themselves, without their indexes, as they lie on the disk."""
    with contextlib.closing(sqlite3.connect(target)) as db:
        tables = [name for (name,) in db.execute("SELECT DISTINCT table_name FROM pvrelay_checkpoint_rows")]
        undo = db.execute("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'pvrelay_undo%'").fetchone()[0]
        marks = ", ".join("?" * len(tables))
        rows = db.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({marks})", tables).fetchone()[0]
    return undo, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with the programs")
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="folder to work in; emptied first")
    parser.add_argument("--modules", type=int, default=1000000)
    parser.add_argument("--pairs", type=int, default=5, help="how often each first load is measured, in turn")
    arguments = parser.parse_args()

    shutil.rmtree(arguments.dir, ignore_errors=True)
    arguments.dir.mkdir(parents=True)
    subprocess.run([arguments.bin / "pvrelay-export-gen", "--out", arguments.dir, "--modules", str(arguments.modules)],
                   check=True, stdout=subprocess.DEVNULL)
    exports = [arguments.dir / "audits.json", arguments.dir / "modules.json"]
    size = sum(export.stat().st_size for export in exports)
    print(f"{arguments.modules} modules, {size / 1e6:.0f} MB of JSON, {os.cpu_count()} processors, {arguments.pairs} pairs")

    program = arguments.bin / "pvrelay"
    reversible, plain = arguments.dir / "reversible.db", arguments.dir / "plain.db"
    figures = Figures()
    for _ in range(arguments.pairs):
        for target, name, undo in ((reversible, "first load, undo on", "on"), (plain, "first load, undo off", "off")):
            for left in arguments.dir.glob(target.name + "*"):
                left.unlink()
            figures.take(name, [program, "run", *exports, "--target", target, "--progress", "none", "--undo", undo])
    undo, rows = stored_bytes(reversible)
    figures.take("all unchanged", [program, "run", *exports, "--target", reversible, "--progress", "none"])
    figures.take("rollback of all", [program, "rollback", "--target", reversible, "--to", "0"])

    figures.print(arguments.modules, size)
    ratio = figures.median("first load, undo on") / figures.median("first load, undo off")
    print(f"undo costs {ratio:.3f} x the time, and {undo / 1e6:.1f} MB: {100 * undo / rows:.1f} % of the rows' own {rows / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
