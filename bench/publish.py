#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Put a run of the benchmark into README.md (between its two marks) and its chart into docs/bench.png.

The figures are those of the JSON file that `./run bench` has written, with date and machine; the chart is the PNG beside it. A second
JSON file, of a larger export, adds a sentence on how time and memory grow."""

import argparse
import json
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench: begin, by ./run bench publish -->\n", "<!-- bench: end -->\n"


def measured(document):
    return {row["name"]: row for row in document["contenders"] if row["state"] == "measured"}


def ratio(value):
    return "" if value is None else f"{value:.2f}"


def table(document):
    """A line a contender, the rows of one kind together as they were measured; what was not measured is left to the JSON file."""
    lines = ["| | wall, median s | least to most | CPU s | peak MiB | / SQLite alone | / fastest peer |", "|---|--:|--:|--:|--:|--:|--:|"]
    for row in measured(document).values():
        name = f"**{row['title']}**" if row["kind"] == "pvrelay" else row["title"]
        peak = "" if row["max_rss_mib"] is None else f"{row['max_rss_mib']:,.0f}"
        lines.append(f"| {name} | {row['median_seconds']:.2f} | {row['min_seconds']:.2f} to {row['max_seconds']:.2f} "
                     f"| {row['median_cpu_seconds']:.2f} | {peak} | {ratio(row['ratio_to_floor'])} | {ratio(row['ratio_to_fastest_peer'])} |")
    return "\n".join(lines) + "\n"


def growth(document, larger):
    """How the first load grows with the export."""
    less, more = measured(document)["pvrelay"], measured(larger)["pvrelay"]
    return (f"\n{larger['input']['modules']:,} modules ({larger['date'][:10]}): {more['median_seconds']:.1f} s, "
            f"{more['median_seconds'] / less['median_seconds']:.2f} × the time of {document['input']['modules']:,}; "
            f"{more['max_rss_mib']:,.0f} MiB.\n")


def section(document, larger=None):
    box, source = document["machine"], document["input"]
    text = (f"{source['modules']:,} modules, {source['bytes'] / 1e6:.0f} MB of JSON, {document['pairs']} interleaved rounds, {document['date'][:10]}; "
            f"{box['processors']} processors ({box['processor']}), {box['memory_mib'] // 1024} GiB, {box['system']}, "
            f"pvrelay {document['versions']['pvrelay'].split()[-1]}.\n\n")
    text += table(document)
    return text + (growth(document, larger) if larger else "")


def put(readme, text):
    """The README with the section between the marks replaced."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise SystemExit(f"publish: README.md needs these two lines once, in this order:\n{BEGIN}{END}")
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=pathlib.Path, help="bench-N.json")
    parser.add_argument("larger", type=pathlib.Path, nargs="?", help="bench-M.json of a larger export")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="folder of README.md and docs/")
    arguments = parser.parse_args()
    document = json.loads(arguments.result.read_text(encoding="utf-8"))
    larger = json.loads(arguments.larger.read_text(encoding="utf-8")) if arguments.larger else None
    readme = arguments.root / "README.md"
    readme.write_text(put(readme.read_text(encoding="utf-8"), section(document, larger)), encoding="utf-8")
    shutil.copyfile(arguments.result.with_suffix(".png"), arguments.root / "docs/bench.png")
    print(f"{readme} and docs/bench.png: written")


if __name__ == "__main__":
    main()
