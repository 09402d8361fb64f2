#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coverage.py BUILD_DIR: lines of the project that ran, by file, added up over all programs, as gcov counted them."""

import collections
import json
import pathlib
import subprocess
import sys


def counts(build, root):
    """{source file: {line number: times it ran}}"""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    for data in sorted(build.rglob("*.gcda")):
        done = subprocess.run(["gcov", "--json-format", "--stdout", str(data)], cwd=build, capture_output=True,
                              text=True, check=True)
        for document in done.stdout.splitlines():
            parsed = json.loads(document)
            for entry in parsed["files"]:
                path = (pathlib.Path(parsed["current_working_directory"]) / entry["file"]).resolve()
                if not path.is_relative_to(root) or path.is_relative_to(root / "tests"):
                    continue
                for line in entry["lines"]:
                    lines[path.relative_to(root)][line["line_number"]] += line["count"]
    return lines


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path(__file__).resolve().parents[2]
    files = counts(build, root)
    if not files:
        sys.exit(f"coverage.py: {build} holds no counts (*.gcda): run the tests of the preset coverage first")
    ran_all = lines_all = 0
    for path, lines in sorted(files.items()):
        ran = sum(count > 0 for count in lines.values())
        ran_all += ran
        lines_all += len(lines)
        print(f"{ran / len(lines):7.1%}  {ran:6} of {len(lines):6}  {path}")
    print(f"{ran_all / lines_all:7.1%}  {ran_all:6} of {lines_all:6}  all")


if __name__ == "__main__":
    main()
