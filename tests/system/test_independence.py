# SPDX-License-Identifier: MIT
"""The proof shares no code with what it proves: the validator's program holds nothing of the transformer, the writer or their parser."""

import subprocess
import unittest

import pipeline

# What marks the forward side: the transformer, the target, the parser of records, the codec of rows as they are made.
FORWARD = ("pr_transform_batch", "pr_target_", "pr_json_parse_record", "pr_rows_pack", "simdjson")


def symbols(program):
    """Names of the functions in a program, libraries that it loads included by name."""
    listed = subprocess.run(["nm", "--defined-only", "--demangle", pipeline.BIN / program], capture_output=True, text=True, check=True).stdout
    loaded = subprocess.run(["objdump", "-p", pipeline.BIN / program], capture_output=True, text=True, check=True).stdout
    return [line.split(maxsplit=2)[-1] for line in listed.splitlines()] + [line.split()[1] for line in loaded.splitlines() if "NEEDED" in line]


class Independence(unittest.TestCase):
    def found(self, program):
        names = symbols(program)
        self.assertGreater(len(names), 100, f"{program} tells its symbols")
        return sorted({mark for mark in FORWARD for name in names if mark in name})

    def test_validator(self):
        self.assertEqual(self.found("pvrelay-validator"), [])

    def test_the_marks_are_those_of_the_forward_side(self):
        """A mark that stands nowhere would find nothing anywhere."""
        there = {mark for program in ("pvrelay-transformer", "pvrelay-writer") for mark in self.found(program)}
        self.assertEqual(there, set(FORWARD))


if __name__ == "__main__":
    unittest.main()
