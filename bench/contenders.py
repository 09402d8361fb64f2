# SPDX-License-Identifier: MIT
"""What is compared: pvrelay in its variants, the floor, and what a user would write instead."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import typing

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE / "peers"


@dataclasses.dataclass
class Contender:
    """command(target): what is run. why: why it cannot be measured; "" if it can. copied: the target is a copy of the finished one
    first. expects: what the target then holds: "all", "demo" or "nothing"."""
    name: str
    title: str
    kind: str  # pvrelay, floor or peer
    command: typing.Callable = None
    state: str = "measured"
    why: str = ""
    environment: dict = dataclasses.field(default_factory=dict)
    copied: bool = False
    expects: str = "all"
    version: str = ""
    samples: list = dataclasses.field(default_factory=list)


def output(*command):
    """What a command prints; None if it cannot be run or fails."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def first_line(text):
    return text.splitlines()[0] if text else ""


def pvrelay_contenders(world):
    """world: bench.World."""
    program = world.bin / "pvrelay"
    run = [program, "run", *world.exports, "--progress", "none", "--target"]
    demo = [program, "run", *world.demo_exports, "--progress", "none", "--target"]
    can_leave_out = "--validate" in (output(program, "run", "--help") or "")
    made = [
        Contender("pvrelay", "pvrelay: validated, undo kept", "pvrelay", lambda target: [*run, target]),
        Contender("pvrelay-undo-off", "pvrelay --undo off", "pvrelay", lambda target: [*run, target, "--undo", "off"]),
        Contender("pvrelay-validate-off", "pvrelay --validate off", "pvrelay", lambda target: [*run, target, "--validate", "off"]),
        Contender("pvrelay-unchanged", "pvrelay, everything unchanged", "pvrelay", lambda target: [*run, target], copied=True),
        Contender("pvrelay-rollback", "pvrelay rollback of all", "pvrelay",
                  lambda target: [program, "rollback", "--target", target, "--to", "0"], copied=True, expects="nothing"),
        Contender("pvrelay-demo", "pvrelay, the demo's 462 modules", "pvrelay", lambda target: [*demo, target], expects="demo"),
    ]
    if not can_leave_out:
        made[2].state, made[2].why = "left out", "this pvrelay has no --validate off"
    version = first_line(output(program, "--version"))
    for contender in made:
        contender.version = version
    return made


def floor_contenders(world):
    def command(*more):
        return lambda target: [world.bin / "pvrelay-floor", "--from", world.finished, "--target", target, "--tables", world.tables_sql,
                               "--after", world.after_sql, *more]
    return [
        Contender("floor", "floor: SQLite alone, rows parsed", "floor", command()),
        Contender("floor-indexes-kept", "floor, indexes kept up to date", "floor", command("--indexes", "during")),
    ]


def python_with(module):
    """An interpreter that has a module: this one, or the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        if output(python, "-c", f"import {module}") is not None:
            return python
    return None


def peer_contenders(world):
    python = python_with("ijson") or sys.executable
    node_modules = {"NODE_PATH": str(world.node_modules)}
    made = []

    def add(name, title, script, runner, version, why, environment=None):
        words = [*runner, PEERS / script]
        made.append(Contender(
            name, title, "peer", lambda target: [*words, *world.exports, target, world.scratch],
            state="not installed" if why else "measured", why=why, version=version or "", environment=environment or {}))

    def lacking(*tools):
        return ", ".join(f"no {tool}" for tool in tools if shutil.which(tool) is None)

    add("python-json", "python3: json + sqlite3", "python_json.py", [python], output(python, "--version"), "")
    ijson = output(python, "-c", "import ijson; print('ijson', ijson.__version__, ijson.backend)")
    add("python-ijson", "python3: ijson + sqlite3", "python_ijson.py", [python], ijson,
        "" if ijson else "no ijson for Python (Debian: python3-ijson)")
    sqlite_version = "sqlite3 " + (first_line(output("sqlite3", "--version")) or "").split(" ")[0]
    add("sqlite-json-each", "sqlite3 shell: json_each(readfile())", "sqlite_json_each.sh", ["sh"], sqlite_version, lacking("sqlite3"))
    add("jq-csv", "jq → CSV → sqlite3 .import", "jq_csv.sh", ["sh"], output("jq", "--version"), lacking("jq", "sqlite3"))
    add("sqlite-utils", "jq → sqlite-utils insert, SQL", "sqlite_utils.sh", ["sh"], output("sqlite-utils", "--version"),
        lacking("jq", "sqlite-utils", "sqlite3"))
    node = output("node", "--version")
    better = None if node is None else output("env", f"NODE_PATH={world.node_modules}", "node", "-p",
                                              "'better-sqlite3 ' + require('better-sqlite3/package.json').version"
                                              " + (new (require('better-sqlite3'))(':memory:').close(), '')")
    add("node-better-sqlite3", "node + better-sqlite3", "node_better_sqlite3.js", ["node"], f"node {node}, {better}",
        "" if better else lacking("node") or f"no better-sqlite3 that node {node} can load", node_modules)
    own = None if node is None else output("node", "-p", "require('node:sqlite'), 'node:sqlite'")
    add("node-sqlite", "node:sqlite", "node_sqlite.js", ["node", "--no-warnings"], f"node {node}",
        "" if own else lacking("node") or f"node {node} has no node:sqlite (22.5 and later have)")
    return made


def contenders(world):
    """All of them, in the order of the table."""
    return [*pvrelay_contenders(world), *floor_contenders(world), *peer_contenders(world)]


def printed_seconds(contender, sample, printed):
    """The floor says itself how long the timed part took; what it held in memory is no part of the comparison."""
    if contender.kind == "floor":
        said = json.loads(printed)
        sample.update(seconds=round(said["seconds"], 4), cpu_seconds=round(said["cpu_seconds"], 4), rss_mib=None)
    return sample
