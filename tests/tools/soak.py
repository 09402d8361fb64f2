# SPDX-License-Identifier: MIT
"""./run soak: every campaign of tests/campaigns in turn, each with its share of the time; what was done to the product, counted.

A campaign is any tests/campaigns/NAME.py that takes --seed N --seconds S --bin DIR --jobs J, ends with the line `NAME: faults=… inputs=…
seconds=… …`, and with exit code 0 (well), 1 (it found something) or 77 (it cannot run here).
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAMPAIGNS = ROOT / "tests/campaigns"

# Share of the time, and the build it works on; 1 and "test" for a campaign that is not here.
WEIGHTS = {
    "fuzz": 26,
    "io_faults": 4,
    "random_faults": 4,
    "hostile_targets": 6,
    "power_loss": 2,
}
PRESETS = {"fuzz": "fuzz", "hostile_targets": "asan"}


def campaigns():
    return sorted(path.stem for path in CAMPAIGNS.glob("*.py"))


def run(name, seed, seconds, jobs):
    """One campaign; its lines are shown as they come and kept. Returns its exit code, its counts, its log."""
    log = ROOT / "build/soak" / f"{name}.log"
    command = [sys.executable, "-B", str(CAMPAIGNS / f"{name}.py"), "--seed", str(seed), "--seconds", str(seconds), "--jobs", str(jobs),
               "--bin", str(ROOT / "build" / PRESETS.get(name, "test") / "bin")]
    counts = {}
    with open(log, "w", encoding="utf-8") as kept:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                   start_new_session=True)

        def give_up(*_):
            os.killpg(process.pid, signal.SIGKILL)
            kept.write("it did not end in time\n")

        # A campaign begins no case after its time; what it has begun may take a while.
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(int(seconds * 1.5 + 600))
        try:
            for line in process.stdout:
                kept.write(line)
                print("  " + line, end="", flush=True)
                found = re.fullmatch(rf"{name}: ((?:\w+=\d+ ?)+)\n", line)
                if found:
                    counts = {key: int(value) for key, value in (pair.split("=") for pair in found[1].split())}
            code = process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            signal.alarm(0)
    return code if counts or code else 1, counts, log


def table(rows):
    """campaign, result, the counts that all have, and what else it counted."""
    common = ("cases", "faults", "inputs", "seconds")
    lines = [("campaign", "result", *common, "of these")]
    for name, result, counts in rows:
        own = ", ".join(f"{value:,} {key}" for key, value in counts.items() if key not in common)
        lines.append((name, result, *(f"{counts[key]:,}" if key in counts else "-" for key in common), own))
    total = {key: sum(counts.get(key, 0) for _, _, counts in rows) for key in common}
    lines.append(("all", "", *(f"{total[key]:,}" for key in common), ""))
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0]), line[1].ljust(widths[1]), *(line[i].rjust(widths[i]) for i in range(2, 6)), line[6]]).rstrip())


def main():
    parser = argparse.ArgumentParser(prog="./run soak", description="Attack the product, campaign by campaign.")
    parser.add_argument("minutes", nargs="?", type=float, default=30)
    parser.add_argument("--only", metavar="NAME", help="only this campaign: " + ", ".join(campaigns()))
    parser.add_argument("--presets", action="store_true", help="only print the builds that are needed")
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error("MINUTES must be above 0")
    if arguments.only and arguments.only not in campaigns():
        parser.error(f"there is no campaign {arguments.only}; there are {', '.join(campaigns())}")
    chosen = [arguments.only] if arguments.only else campaigns()
    if arguments.presets:
        print(*sorted({"test", *(PRESETS.get(name, "test") for name in chosen)}))
        return 0

    seed = int(os.environ.get("PVRELAY_SEED") or random.SystemRandom().randrange(1, 1 << 31))
    jobs = int(os.environ.get("JOBS") or os.cpu_count() or 1)
    (ROOT / "build/soak").mkdir(parents=True, exist_ok=True)
    begin, rows = time.monotonic(), []
    for place, name in enumerate(chosen):
        # What is left is shared anew each time: who took longer, or less, changes the share of those that follow.
        left = max(1, arguments.minutes * 60 - (time.monotonic() - begin))
        weight = WEIGHTS.get(name, 1)
        seconds = max(1, int(left * weight / sum(WEIGHTS.get(each, 1) for each in chosen[place:])))
        print(f"\n== soak: {name}, {place + 1} of {len(chosen)}, for {seconds} s, seed {seed}", flush=True)
        code, counts, log = run(name, seed, seconds, jobs)
        rows.append((name, {0: "ok", 77: "skipped"}.get(code, "FAILED"), counts))
        if code not in (0, 77):
            print(f"  {name} ended with {code}; all it said is in {log.relative_to(ROOT)}; the whole campaign again: "
                  f"PVRELAY_SEED={seed} ./run soak {arguments.minutes:g} --only {name}")
    print(f"\n== soak: {(time.monotonic() - begin) / 60:.1f} minutes, seed {seed}\n")
    table(rows)
    failed = [name for name, result, _ in rows if result == "FAILED"]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
