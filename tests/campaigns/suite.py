# SPDX-License-Identifier: MIT
"""The system tests again and again, in random order, each time with another seed."""

import os
import re

import support.campaign as campaign


def prepare(_):
    """The tests' names, and the build tree they belong to."""
    listed = campaign.subprocess.run(["ctest", "--test-dir", campaign.pipeline.BIN.parent, "-N", "-L", "system"], capture_output=True, text=True)
    names = re.findall(r"Test +#\d+: (\S+)", listed.stdout)
    if not names:
        raise campaign.Skip(f"{campaign.pipeline.BIN.parent} is no build with tests")
    return names


def one_test(case):
    seed = case.chance.randrange(1, 1 << 31)
    name = case.chance.choice(case.shared)
    done = case.run(["ctest", "--test-dir", campaign.pipeline.BIN.parent, "--output-on-failure", "-R", f"^{name}$"],
                    {"PVRELAY_SEED": str(seed)}, timeout=900)
    case.count(inputs=1)
    if done.returncode != 0:
        raise AssertionError(f"PVRELAY_SEED={seed} ctest --test-dir {os.path.relpath(campaign.pipeline.BIN.parent)} -R '^{name}$'\n{done.stdout}")


campaign.main(one_test, __doc__, prepare)
