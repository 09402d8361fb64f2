# SPDX-License-Identifier: MIT
"""What is made of the samples: medians, ratios, the targets of docs/performance.md, a table, a chart."""

import os
import pathlib
import shutil
import statistics
import subprocess

RSS_LIMIT_MB = 300
DEMO_LIMIT_S = 0.3
READER_LIMIT_MB_S = 500


def measured(contender):
    return contender.state == "measured" and contender.samples


def median(contender, key="seconds"):
    values = [sample[key] for sample in contender.samples if sample[key] is not None]
    return statistics.median(values) if values else None


def fastest_peer(contenders):
    """The peer with the least median; None if none was measured."""
    return min((c for c in contenders if c.kind == "peer" and measured(c)), key=median, default=None)


def ratio(contender, other):
    """Of the medians; None where the two do not do the same."""
    if other is None or not measured(other) or (contender.expects, contender.copied) != (other.expects, other.copied):
        return None
    return round(median(contender) / median(other), 3)


def summary(contenders):
    """A dictionary a contender, for the JSON file."""
    by_name = {c.name: c for c in contenders}
    floor, peer = by_name.get("floor"), fastest_peer(contenders)
    rows = []
    for contender in contenders:
        row = {"name": contender.name, "title": contender.title, "kind": contender.kind, "version": contender.version,
               "state": contender.state, "why": contender.why, "samples": contender.samples}
        if measured(contender):
            times = [sample["seconds"] for sample in contender.samples]
            row.update(median_seconds=median(contender), min_seconds=min(times), max_seconds=max(times),
                       median_cpu_seconds=median(contender, "cpu_seconds"),
                       max_rss_mib=max((s["rss_mib"] for s in contender.samples if s["rss_mib"] is not None), default=None),
                       disturbed=sum(sample["disturbed"] for sample in contender.samples),
                       ratio_to_floor=ratio(contender, floor), ratio_to_fastest_peer=ratio(contender, peer))
        rows.append(row)
    return rows


def targets(rows, size_bytes, reader_mb_s):
    """Each target of docs/performance.md: limit, value, whether it is reached; value None: not measured here, with the reason."""
    by_name = {row["name"]: row for row in rows if row.get("median_seconds") is not None}
    pvrelay = by_name.get("pvrelay", {})

    def judge(number, text, limit, value, most=True, note=""):
        reached = None if value is None else (value <= limit if most else value >= limit)
        return {"target": number, "text": text, "limit": limit, "at_most": most, "value": None if value is None else round(value, 3),
                "reached": reached, "note": note}

    def unchanged():
        if "pvrelay-unchanged" not in by_name or not pvrelay:
            return None
        return pvrelay["median_seconds"] / by_name["pvrelay-unchanged"]["median_seconds"]

    rss = pvrelay.get("max_rss_mib")
    lacking = "not measured in this run"
    return [
        judge(1, "wall time / fastest peer's", 0.75, pvrelay.get("ratio_to_fastest_peer"), note=lacking),
        judge(2, "wall time / floor's", 1.3, pvrelay.get("ratio_to_floor"), note=lacking),
        judge(3, "sum of peak memory, MB", RSS_LIMIT_MB, None if rss is None else rss * 1.048576, note=lacking),
        judge(3, "time of 4 M / time of 1 M", 4.4, None, note="takes two runs of the bench: --size 1000000 and --size 4000000"),
        judge(4, "reader alone, MB/s of export", READER_LIMIT_MB_S, reader_mb_s, most=False, note=lacking),
        judge(4, "first load / everything unchanged", 2.0, unchanged(), most=False, note=lacking),
        judge(5, "demo export, seconds", DEMO_LIMIT_S, by_name.get("pvrelay-demo", {}).get("median_seconds"), note=lacking),
        judge(6, "CPU per record with 4 transformers / with 1", 1.1, None, note="see pvrelay run --profile"),
    ]


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def print_table(rows, say=print):
    say(f"{'':38} {'median s':>9} {'min-max':>15} {'CPU s':>7} {'peak MiB':>9} {'/floor':>7} {'/peer':>6}")
    for row in rows:
        if row.get("median_seconds") is None:
            say(f"{row['title']:38} {row['state']}: {row['why']}")
            continue
        span = f"{row['min_seconds']:.2f}-{row['max_seconds']:.2f}"
        mark = f"  {row['disturbed']} of {len(row['samples'])} disturbed" if row["disturbed"] else ""
        say(f"{row['title']:38} {row['median_seconds']:9.2f} {span:>15} {row['median_cpu_seconds']:7.2f} {number(row['max_rss_mib'], 0):>9}"
            f" {number(row['ratio_to_floor']):>7} {number(row['ratio_to_fastest_peer']):>6}{mark}")


def print_targets(judged, say=print):
    for each in judged:
        bound = f"{'at most' if each['at_most'] else 'at least'} {each['limit']:g}"
        if each["value"] is None:
            verdict = each["note"]
        elif each["reached"]:
            verdict = f"{each['value']:g}: reached"
        else:
            off = each["value"] / each["limit"] if each["at_most"] else each["limit"] / each["value"]
            verdict = f"{each['value']:g}: missed by {100 * (off - 1):.0f} %"
        say(f"  {each['target']}. {each['text']}, {bound}: {verdict}")


def chart(rows, title, path, folder):
    """A PNG with a bar for each contender and whiskers from least to most; says why if there is none."""
    if shutil.which("gnuplot") is None:
        return "no chart: gnuplot is not installed (Debian: gnuplot-nox)"
    shown = [row for row in rows if row.get("median_seconds") is not None and row["name"] != "pvrelay-demo"]
    if not shown:
        return "no chart: nothing was measured"
    colours = {"pvrelay": 0x1F6FB4, "floor": 0x7A7A7A, "peer": 0xD98A2B}
    data, tics = [], []
    for place, row in enumerate(reversed(shown)):
        data.append(f"{row['median_seconds']} {place} {row['min_seconds']} {row['max_seconds']} {colours[row['kind']]}")
        text = row["title"].replace('"', "'")
        tics.append(f'"{text}" {place}')
    data_path = pathlib.Path(folder) / "chart.dat"
    data_path.write_text("\n".join(data) + "\n")
    most = max(row["max_seconds"] for row in shown)
    script = f"""
set terminal pngcairo size 1100,{120 + 44 * len(shown)} background rgb "white" font "sans,11" noenhanced
set output "{path}"
set title "{title}"
set xlabel "seconds: median of the runs, whiskers from least to most"
set xrange [0:{1.12 * most}]
set yrange [-0.6:{len(shown) - 0.4}]
set ytics ({", ".join(tics)}) nomirror scale 0 textcolor rgb "#222222"
set xtics nomirror textcolor rgb "#222222"
set grid xtics lc rgb "#dddddd"
set border 3 lc rgb "#888888"
unset key
set style fill solid 1.0 noborder
plot "{data_path}" using ($1/2):2:(0):1:($2-0.33):($2+0.33):5 with boxxyerror lc rgb variable, \\
     "" using 1:2:3:4 with xerrorbars lc rgb "#222222" pt 0 lw 1.3, \\
     "" using 4:2:(sprintf(" %.2f", $1)) with labels left offset 0.5,0 tc rgb "#222222"
"""
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    data_path.unlink()
    if done.returncode != 0 or not pathlib.Path(path).exists():
        return f"no chart: gnuplot says {done.stderr.strip()[:200]}"
    return f"chart: {path}"
