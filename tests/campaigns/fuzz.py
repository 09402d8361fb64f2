# SPDX-License-Identifier: MIT
"""Every fuzz target in turn, on its seeds and on what earlier rounds found; executions as libFuzzer counts them."""

import os
import pathlib
import re

import support.campaign as campaign

ROUND = 30  # seconds of one target at a time


def prepare(_):
    """The targets. --bin is the bin folder of the fuzz build; they lie beside it."""
    targets = sorted(path for path in (campaign.pipeline.BIN.parent / "fuzz").glob("fuzz_*") if os.access(path, os.X_OK) and path.is_file())
    if not targets:
        raise campaign.Skip(f"no fuzz targets in {campaign.pipeline.BIN.parent / 'fuzz'}; cmake --preset fuzz, and build tests/fuzz/all")
    return targets


def one_round(case):
    target = case.shared[case.number % len(case.shared)]
    name = target.name.removeprefix("fuzz_")
    seconds = max(1, min(ROUND, int(case.seconds / len(case.shared))))
    seeds = campaign.ROOT / "tests/fuzz/seeds" / name
    corpus = target.parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    artifact = case.folder / "input-"
    done = case.run([target, f"-max_total_time={seconds}", f"-seed={case.chance.randrange(1, 1 << 31)}", "-timeout=10", "-rss_limit_mb=1024",
                     f"-artifact_prefix={artifact}", "-print_final_stats=1", corpus, seeds], timeout=seconds + 300)
    executed = re.search(r"stat::number_of_executed_units: +(\d+)", done.stderr)
    if done.returncode != 0 or executed is None:
        raise AssertionError(f"{pathlib.Path(target).name} ended with {done.returncode}; its input: {artifact}*\n{done.stderr[-6000:]}")
    case.count(inputs=int(executed[1]), executions=int(executed[1]))


campaign.main(one_round, __doc__, prepare)
