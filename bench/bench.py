#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare pvrelay with SQLite's own floor and with what a user would write instead: the same export into the same schema, one after
the other, several rounds; a table, a JSON file, a chart. A contender whose target holds anything else than pvrelay's is refused."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import contenders as field
import digest
import figures
import measure

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SEED = 1
SPOIL = "PVRELAY_BENCH_SPOIL"  # for the test of this program: the contender whose target loses a row before it is looked at


def say(text):
    print(text, file=sys.stderr, flush=True)


def remove_target(target):
    for path in target.parent.glob(target.name + "*"):
        path.unlink()


class World:
    """Folders, inputs and what all contenders share."""

    def __init__(self, bin_dir, out, modules, node_modules):
        self.bin = bin_dir.resolve()
        self.out = out.resolve()
        self.modules = modules
        self.node_modules = node_modules.resolve()
        self.scratch = self.out / "scratch"
        self.finished = self.out / "finished.db"
        self.demo_finished = self.out / "demo.db"
        self.tables_sql = self.scratch / "tables.sql"
        self.after_sql = self.scratch / "after.sql"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.exports = self.make_exports(f"exports-{modules}", "audits.json", "modules.json",
                                         "--modules", str(modules), "--seed", str(SEED))
        self.demo_exports = self.make_exports("exports-demo", "prod_export_audits.json", "prod_export_modules.json",
                                              "--preset", "production")
        self.size = sum(export.stat().st_size for export in self.exports)

    def make_exports(self, name, audits, modules, *arguments):
        """The two files of an export, made if they are not there yet as this generator makes them."""
        folder, made = self.out / name, self.out / name / "made.json"
        generator = self.bin / "pvrelay-export-gen"
        paths = [folder / audits, folder / modules]
        told = [list(arguments), generator.stat().st_mtime_ns]
        with contextlib.suppress(OSError, ValueError):
            if json.loads(made.read_text()) == [*told, [path.stat().st_size for path in paths]]:
                return paths
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"making {folder}")
        subprocess.run([generator, "--out", folder, *arguments], check=True, stdout=subprocess.DEVNULL)
        made.write_text(json.dumps([*told, [path.stat().st_size for path in paths]]))
        return paths

    def cut_schema(self):
        """Our first migration as two files: the tables; indexes, triggers and views. Returns what an empty target is like."""
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.executescript((ROOT / "migrations" / "0001_unified_schema.sql").read_text(encoding="utf-8"))
            for path, kind in ((self.tables_sql, "type = 'table'"), (self.after_sql, "type <> 'table'")):
                path.write_text("".join(sql + ";\n" for (sql,) in db.execute(
                    f"SELECT sql FROM sqlite_master WHERE {kind} AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")))
        empty = self.scratch / "empty.db"
        remove_target(empty)
        with contextlib.closing(sqlite3.connect(empty)) as db:
            db.executescript(self.tables_sql.read_text() + self.after_sql.read_text())
        return digest.take(empty)

    def expectations(self):
        """What targets must hold: pvrelay's own, which it has proved against the exports."""
        nothing = self.cut_schema()
        for target, exports in ((self.finished, self.exports), (self.demo_finished, self.demo_exports)):
            remove_target(target)
            say(f"filling {target} to compare with")
            subprocess.run([self.bin / "pvrelay", "run", *exports, "--target", target, "--progress", "none"], check=True,
                           stdout=subprocess.DEVNULL)
        return {"all": digest.take(self.finished), "demo": digest.take(self.demo_finished), "nothing": nothing}


def spoil(contender, target):
    if os.environ.get(SPOIL) == contender.name:
        with contextlib.closing(sqlite3.connect(target)) as db:
            db.execute("DELETE FROM el_modules WHERE id = (SELECT max(id) FROM el_modules)")
            db.commit()


def sample(world, contender, expectations):
    """Measure a contender once; a failure or a difference ends its part."""
    target = world.out / "target.db"
    remove_target(target)
    if contender.copied:
        shutil.copyfile(world.finished, target)
    try:
        taken, printed = measure.take(contender.command(target), contender.environment)
    except measure.Failed as failure:
        if contender.kind != "peer":
            raise SystemExit(f"bench: {contender.name} {failure}") from None
        contender.state, contender.why = "failed", str(failure)
        return
    field.printed_seconds(contender, taken, printed)
    spoil(contender, target)
    found = digest.take(target)
    differs = digest.difference(expectations[contender.expects], found)
    remove_target(target)
    if differs:
        contender.state, contender.why = "refused", f"its content is not pvrelay's: {differs}"
        contender.samples.clear()
        return
    contender.samples.append(taken)


class Clock:
    """How long is left, judged by how long each contender took so far, its check included."""

    def __init__(self):
        self.spent = {}

    def note(self, contender, seconds):
        self.spent.setdefault(contender.name, []).append(seconds)

    def left(self, todo):
        if not self.spent:
            return "?"
        every = statistics.mean(s for spent in self.spent.values() for s in spent)
        seconds = sum(statistics.mean(self.spent[c.name]) if c.name in self.spent else every for c in todo if c.state == "measured")
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s" if seconds >= 60 else f"{seconds:.0f} s"


def rounds(world, chosen, pairs, expectations):
    """Interleaved: all contenders once, then once more in the opposite order, ..."""
    order = [c for number in range(pairs) for c in (chosen if number % 2 == 0 else chosen[::-1])]
    clock = Clock()
    for at, contender in enumerate(order):
        if contender.state != "measured":
            continue
        began = time.monotonic()
        sample(world, contender, expectations)
        clock.note(contender, time.monotonic() - began)
        if contender.state == "measured":
            taken = contender.samples[-1]
            told = f"{taken['seconds']:.2f} s" + (f" (others keep {max(taken['others'], taken['others_before']):.1f} processors busy)"
                                                  if taken["disturbed"] else "")
        else:
            told = f"{contender.state}: {contender.why}"
        say(f"{at + 1}/{len(order)} {contender.name}: {told}; left: {clock.left(order[at + 1:])}")


def machine():
    """What the figures were taken on."""
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    release = dict(line.rstrip().split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {"processor": cpu, "processors": len(os.sched_getaffinity(0)), "memory_mib": memory // 1024, "kernel": platform.release(),
            "system": release.get("PRETTY_NAME", "").strip('"')}


def micro_command(bin_dir, exports, folder, *more):
    return [bin_dir / "pvrelay-micro", *exports, "--mapping", ROOT / "mappings/el-to-hub.json", "--migrations", ROOT / "migrations",
            "--folder", folder, *more]


def reader_mb_s(world):
    """The reader goes over each byte twice: it scans the file, then cuts it into batches."""
    rates = []
    for piece in ("scan", "slice"):
        done = subprocess.run(micro_command(world.bin, world.exports, world.scratch, "--json", "--only", piece, "--seconds", "0.5",
                                            "--repeats", "3"), check=True, capture_output=True, text=True)
        rates.append(json.loads(done.stdout)[0]["median"])
    return 1 / sum(1 / rate for rate in rates)


def undo_bytes(target):
    """How much of a finished target is undo, how much its rows without their indexes; None: this SQLite cannot tell."""
    with contextlib.closing(sqlite3.connect(target)) as db:
        try:
            undo = db.execute("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'pvrelay_undo%'").fetchone()[0]
            rows = db.execute("SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT table_name FROM pvrelay_checkpoint_rows)").fetchone()[0]
        except sqlite3.OperationalError:
            return None
    return {"undo_bytes": undo, "rows_bytes": rows}


def choose(all_contenders, only):
    if only is None:
        return all_contenders
    names = [c.name for c in all_contenders]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise SystemExit(f"bench: there is no contender \"{unknown[0]}\"; there are {', '.join(names)}")
    return [c for c in all_contenders if c.name in only]


def compare(arguments):
    world = World(arguments.bin, arguments.out, arguments.size, arguments.node_modules)
    chosen = choose(field.contenders(world), arguments.only)
    expectations = world.expectations()
    date = datetime.datetime.now(datetime.timezone.utc)
    rounds(world, chosen, arguments.pairs, expectations)

    rows = figures.summary(chosen)
    names = {row["name"] for row in rows}
    judged = figures.targets(rows, world.size, reader_mb_s(world) if "pvrelay" in names else None)
    peer = figures.fastest_peer(chosen)
    document = {
        "pvrelay_bench": 1, "date": date.strftime("%Y-%m-%d %H:%M:%S UTC"), "machine": machine(),
        "versions": {"pvrelay": field.first_line(field.output(world.bin / "pvrelay", "--version")),
                     **json.loads(field.output(world.bin / "pvrelay-micro", "--toolchain") or "{}")},
        "input": {"modules": world.modules, "audits": expectations["all"]["counts"]["el_audits"], "bytes": world.size, "seed": SEED,
                  "digest": expectations["all"]["digest"]},
        "pairs": arguments.pairs, "undo": undo_bytes(world.finished),
        "fastest_peer": peer.name if peer else None, "contenders": rows, "targets": judged,
    }
    result = world.out / f"bench-{world.modules}.json"
    result.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    remove_target(world.finished)
    remove_target(world.demo_finished)

    box = document["machine"]
    print(f"{world.modules} modules, {world.size / 1e6:.0f} MB of JSON; {arguments.pairs} round{'s' if arguments.pairs > 1 else ''}; {document['date']}")
    print(f"{box['processors']} processors, {box['processor']}, {box['memory_mib']} MiB, {box['system']}\n")
    figures.print_table(rows)
    print(f"\nThe fastest peer: {peer.title if peer else 'none was measured'}. Targets (docs/performance.md):")
    figures.print_targets(judged)
    if document["undo"]:
        print("\nUndo takes {:.1f} MB, the rows without their indexes {:.1f} MB.".format(*(n / 1e6 for n in document["undo"].values())))
    print(f"\nfigures: {result}")
    print(figures.chart(rows, f"{world.modules} modules into a fresh database; {date:%Y-%m-%d}, {box['processors']} processors",
                        world.out / f"bench-{world.modules}.png", world.scratch))
    shutil.rmtree(world.scratch)
    if any(row["state"] == "refused" for row in rows):
        raise SystemExit("bench: a contender was refused")


def micro(arguments):
    """The pieces one by one, on a target in memory where there is room for one."""
    world = World(arguments.bin, arguments.out, arguments.size, arguments.node_modules)
    memory = pathlib.Path("/dev/shm")
    folder = (memory if os.access(memory, os.W_OK) else world.out) / f"pvrelay-micro-{os.getpid()}"
    folder.mkdir()
    try:
        sys.stdout.flush()
        subprocess.run(micro_command(world.bin, world.exports, folder, "--seconds", str(arguments.seconds)), check=True)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(world.scratch)


def above_zero(text):
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("compare", "micro"), default="compare")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/bin", help="folder with the programs")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench", help="folder for inputs, targets and results")
    parser.add_argument("--node-modules", type=pathlib.Path, default=ROOT / "build/bench/node_modules")
    parser.add_argument("--size", type=above_zero, help="modules; default 1000000, for micro 100000")
    parser.add_argument("--pairs", type=above_zero, default=5, help="rounds; default 5")
    parser.add_argument("--only", type=lambda text: text.split(","), help="contenders, with commas between")
    parser.add_argument("--seconds", type=float, default=1.0, help="micro: of each repeat, at least")
    arguments = parser.parse_args()
    if arguments.size is None:
        arguments.size = 100000 if arguments.what == "micro" else 1000000
    (micro if arguments.what == "micro" else compare)(arguments)


if __name__ == "__main__":
    main()
