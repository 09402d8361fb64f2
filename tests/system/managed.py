# SPDX-License-Identifier: MIT
"""A managed run without systemd: the manager and its daemons as subprocesses, started again when a signal ended them. No sleeps: see pipeline.py."""

import json
import os
import socket
import subprocess

import pipeline

STAGES = ("reader", "transformer", "writer", "validator")


class Managed:
    """`pvrelay manage` and the four daemons of its run folder. What it says to systemd is kept in `said`."""

    def __init__(self, root, sources, target, manager_environment=None, **settings):
        self.root, self.target, self.run_dir = root, target, root / "r"
        self.config = root / "m.json"
        listed = sources if isinstance(sources, dict) else [str(s) for s in sources]
        self.config.write_text(json.dumps({"target": str(target), "run_dir": str(self.run_dir), "sources": listed, "linger_ms": 1000,
                                           **settings}))
        self.environment = manager_environment or {}
        self.processes, self.ended, self.said, self.starts = {}, {}, [], {}
        self.log = open(root / "log", "ab")
        self.systemd = None

    def __enter__(self):
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.systemd.bind(str(self.root / "notify"))
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        self.systemd.close()
        self.log.close()
        (self.root / "notify").unlink()

    def text(self):
        return (self.root / "log").read_text(errors="replace")

    def _spawn(self, name, command, environment):
        self.ended.pop(name, None)
        self.starts[name] = self.starts.get(name, 0) + 1
        self.processes[name] = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log,
                                                env={**os.environ, **environment})

    def start_manager(self, *options, **environment):
        self._spawn("manager", [pipeline.BIN / "pvrelay", "manage", "--config", self.config, *options],
                    {**self.environment, "NOTIFY_SOCKET": str(self.root / "notify"), **environment})

    def start_stage(self, name):
        self._spawn(name, [pipeline.BIN / f"pvrelay-{name}", "--config", self.run_dir / "config.json"], {})

    def listen(self):
        while True:
            try:
                self.said += self.systemd.recv(4096).decode().split("\n")
            except BlockingIOError:
                return

    def turn(self, restart=True):
        """Notice what has ended; start again what a signal has ended."""
        self.listen()
        for name, process in list(self.processes.items()):
            code = process.poll()
            if code is None or name in self.ended:
                continue
            self.ended[name] = code
            if code >= 0 or not restart:
                continue
            if name == "manager":
                self.listen()
                self.said.clear()  # so that what is there is what the new one says
                self.start_manager()
            elif (self.run_dir / "config.json").exists():
                self.start_stage(name)

    def until(self, condition, what, restart=True):
        def look():
            self.turn(restart)
            return condition()
        return pipeline.wait_until(look, what)

    def start(self, **environment):
        """The manager, then, when it says that it is ready, the daemons."""
        self.listen()
        self.said.clear()
        self.start_manager(**environment)
        self.until(lambda: "READY=1" in self.said or "manager" in self.ended, "READY=1")
        if "manager" not in self.ended:
            for name in STAGES:
                self.start_stage(name)

    def kill(self, name):
        """SIGKILL, and its death; turn() starts it again."""
        if name not in self.ended:
            self.processes[name].kill()
            self.processes[name].wait()

    def all_up(self):
        """Every process, and the manager is ready."""
        return "READY=1" in self.said and all(process.poll() is None for process in self.processes.values())

    def all_ended(self):
        return self.processes.keys() == self.ended.keys()

    def finish(self, test, code):
        """To the end of all of them; the manager's exit code is that of the run."""
        self.until(lambda: "manager" in self.ended and self.ended["manager"] >= 0, "the manager's end")
        self.until(self.all_ended, "the end of the daemons")
        test.assertEqual(self.ended["manager"], code, self.text())
        test.assertEqual({self.ended[name] for name in self.ended}, {code}, self.text())

    def stop(self, test):
        """SIGTERM for all."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        self.until(self.all_ended, "the end after SIGTERM", restart=False)


def files_left(run_dir):
    return sorted(entry.name for entry in run_dir.iterdir()) if run_dir.exists() else []
