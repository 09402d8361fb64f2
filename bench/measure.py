# SPDX-License-Identifier: MIT
"""One run of a command, measured: wall time, CPU time and peak memory of all its processes, and what else the machine did."""

import os
import pathlib
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
LISTEN_S = 0.25  # how long the machine is listened to before each sample
DISTURBED = 0.5  # processors that others keep busy; samples taken beyond this are marked


def children(pid):
    """Process ids below pid, without pid."""
    try:
        below = [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                 for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return below + [each for child in below for each in children(child)]


def peak_kib(pid):
    """VmHWM (peak resident memory, KiB) of a process."""
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
        while True:
            for pid in [self.pid, *children(self.pid)]:
                peak = peak_kib(pid)
                if peak is not None:
                    self.peaks[pid] = max(peak, self.peaks.get(pid, 0))
            if self.over.wait(0.02):
                return


def machine_busy():
    """CPU seconds that all processors have spent on anything, since the machine was started."""
    user, nice, system, _idle, _iowait, irq, softirq = map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + irq + softirq) / TICK


def own_busy():
    times = os.times()
    return times.user + times.system


class Failed(Exception):
    """A command did not do its work."""


def take(command, environment=None, folder=None):
    """Run a command; returns its sample and what it printed. Raises Failed if it ends with anything but 0."""
    os.sync()  # what earlier commands wrote is theirs to pay for
    load = os.getloadavg()[0]
    before = machine_busy()
    time.sleep(LISTEN_S)
    others_before = (machine_busy() - before) / LISTEN_S

    busy, own, began = machine_busy(), own_busy(), time.monotonic()
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
                          env={**os.environ, **(environment or {})}) as process:
        meter = Meter(process.pid)
        meter.start()
        # A program that prints much must not wait for us; ours print little, and a thread reads all the same.
        printed = {}
        readers = [threading.Thread(target=lambda name=name, pipe=pipe: printed.update({name: pipe.read()}), daemon=True)
                   for name, pipe in (("out", process.stdout), ("err", process.stderr))]
        for reader in readers:
            reader.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        meter.over.set()
        for reader in readers:
            reader.join()
    meter.join()
    cpu = usage.ru_utime + usage.ru_stime
    # The meter's own part is neither the command's nor others'.
    others = (machine_busy() - busy - cpu - (own_busy() - own)) / seconds
    if process.returncode != 0:
        lines = (printed["err"] or printed["out"]).strip().splitlines() or ["it says nothing"]
        raise Failed(f"ended with {process.returncode}: {lines[-1][:200]}")
    sample = {
        "seconds": round(seconds, 4), "cpu_seconds": round(cpu, 4), "rss_mib": round(sum(meter.peaks.values()) / 1024, 1),
        "load": round(load, 2), "others_before": round(others_before, 2), "others": round(max(others, 0.0), 2),
    }
    sample["disturbed"] = max(sample["others_before"], sample["others"]) > DISTURBED
    return sample, printed["out"]
