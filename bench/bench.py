#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replay a big export with `pvrelay run`, twice: time, rate and the sum of all processes' peak memory."""

import argparse
import os
import pathlib
import shutil
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


def replay(command):
    """Seconds and MiB."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with the programs")
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="folder to work in; emptied first")
    parser.add_argument("--modules", type=int, default=1000000)
    arguments = parser.parse_args()

    shutil.rmtree(arguments.dir, ignore_errors=True)
    arguments.dir.mkdir(parents=True)
    subprocess.run([arguments.bin / "pvrelay-export-gen", "--out", arguments.dir, "--modules", str(arguments.modules)],
                   check=True, stdout=subprocess.DEVNULL)
    exports = [arguments.dir / "audits.json", arguments.dir / "modules.json"]
    size = sum(export.stat().st_size for export in exports)
    print(f"{arguments.modules} modules, {size / 1e6:.0f} MB of JSON, {os.cpu_count()} processors")
    print(f"{'':16} {'seconds':>8} {'records/s':>10} {'MB/s':>6} {'peak MiB':>9}")
    command = [arguments.bin / "pvrelay", "run", *exports, "--target", arguments.dir / "hub.db", "--progress", "none"]
    for name in ("first load", "all unchanged"):
        seconds, mib = replay(command)
        print(f"{name:16} {seconds:8.2f} {arguments.modules / seconds:10.0f} {size / 1e6 / seconds:6.0f} {mib:9.0f}")


if __name__ == "__main__":
    main()
