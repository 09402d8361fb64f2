#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare the instructions that the hot pieces take (pvrelay-micro under valgrind --tool=callgrind, on a fixed export) with the
figures kept in instructions.json, within 3 %. Unlike times these do not depend on what else the machine does.

The figures are of one compiler, build type and set of libraries. With others there is nothing to compare: exit code 77, skipped.
--update writes the figures anew; commit them with the change that moved them."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MODULES = 6000  # enough for indexes to be put off
TOLERANCE = 0.03
SKIPPED = 77

# Nothing of the surroundings may change what is executed: no randomised addresses (setarch -R), a fixed locale, the same
# variants of memcpy and simdjson on every processor, no mapping of large blocks, which may or may not have to move.
SURROUNDINGS = {
    "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
    "SIMDJSON_FORCE_IMPLEMENTATION": "westmere",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-BMI2,-ERMS,-FSRM,-MOVBE:glibc.cpu.x86_non_temporal_threshold=0xc0000"
                      ":glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824",
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def toolchain(micro):
    """What the counts depend on."""
    known = json.loads(subprocess.run([micro, "--toolchain"], check=True, capture_output=True, text=True).stdout)
    known["machine"] = subprocess.run(["uname", "-m"], check=True, capture_output=True, text=True).stdout.strip()
    return known


def count(bin_dir):
    """Instructions by piece."""
    micro = bin_dir / "pvrelay-micro"
    with tempfile.TemporaryDirectory(prefix="pvr-guard-") as name:
        folder = pathlib.Path(name)
        subprocess.run([bin_dir / "pvrelay-export-gen", "--out", folder, "--modules", str(MODULES)], check=True,
                       stdout=subprocess.DEVNULL)
        command = ["setarch", "-R", "valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=pr_micro_measured",
                   "--dump-after=pr_micro_measured", f"--callgrind-out-file={folder}/counts", micro, "audits.json", "modules.json",
                   "--mapping", ROOT / "mappings/el-to-hub.json", "--migrations", ROOT / "migrations", "--folder", ".", "--once"]
        done = subprocess.run(command, cwd=folder, env=SURROUNDINGS, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"guard: pvrelay-micro under valgrind ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        pieces = [line.split()[0] for line in done.stdout.splitlines()]
        counts = {}
        for number, piece in enumerate(pieces, 1):
            text = (folder / f"counts.{number}").read_text()
            counts[piece] = int(re.search(r"^totals: (\d+)$", text, re.M).group(1))
        return counts


def compare(kept, counted):
    """Print a line a piece; returns how many differ by more than the tolerance."""
    wrong = 0
    for piece in sorted({*kept, *counted}):
        if piece not in kept or piece not in counted:
            print(f"{piece:12} {'is new' if piece not in kept else 'is gone'}: --update")
            wrong += 1
            continue
        more = counted[piece] - kept[piece]
        far = abs(more) > TOLERANCE * kept[piece]
        wrong += far
        print(f"{piece:12} {kept[piece]:>12} kept {counted[piece]:>12} counted  {100 * more / kept[piece]:+.2f} %{'  TOO FAR' if far else ''}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with the programs")
    parser.add_argument("--figures", type=pathlib.Path, default=HERE / "instructions.json")
    parser.add_argument("--update", action="store_true", help="write the figures anew")
    arguments = parser.parse_args()
    bin_dir = arguments.bin.resolve()

    for tool in ("valgrind", "setarch"):
        if shutil.which(tool) is None:
            skip(f"there is no {tool}")
    here = toolchain(bin_dir / "pvrelay-micro")
    kept = json.loads(arguments.figures.read_text()) if arguments.figures.exists() else None
    if not arguments.update:
        if kept is None:
            raise SystemExit(f"guard: {arguments.figures} is missing; --update makes it")
        other = [f"{name} {kept['toolchain'].get(name)} (here {here.get(name)})" for name in sorted({*here, *kept["toolchain"]})
                 if here.get(name) != kept["toolchain"].get(name)]
        if other:
            skip("other toolchain: the figures are of " + ", ".join(other))
    counted = count(bin_dir)
    if arguments.update:
        arguments.figures.write_text(json.dumps(
            {"modules": MODULES, "toolchain": here, "instructions": counted}, indent=2) + "\n")
        print(f"{arguments.figures}: written")
        if kept is not None:
            compare(kept["instructions"], counted)
        return
    wrong = compare(kept["instructions"], counted)
    if wrong:
        raise SystemExit(f"guard: {wrong} of {len(counted)} pieces differ by more than {100 * TOLERANCE:.0f} %: mend it, or accept it with"
                         " `./run bench guard --update` and say why in docs/performance.md")


if __name__ == "__main__":
    main()
