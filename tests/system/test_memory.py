# SPDX-License-Identifier: MIT
"""Memory is bounded by the window: the four processes' peaks stay below 300 MB together, and do not grow with the export."""

import os
import pathlib
import subprocess
import sys
import unittest

import pipeline

# Modules of the two runs. The real figures, 500000 and 2000000, take some minutes: PVRELAY_MEMORY_MODULES=500000,2000000
SIZES = [int(n) for n in os.environ.get("PVRELAY_MEMORY_MODULES", "200000,500000").split(",")]
LIMIT_KIB = 300_000_000 // 1024
NOISE_KIB = 12 << 10  # caches fill at their own pace; more records must not cost more than this


def peak_kib(pid):
    """A process's greatest resident size so far; 0 if it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Memory(unittest.TestCase):
    def peaks(self, root, modules):
        """The peaks of the four stages while `modules` are replayed."""
        exports = pipeline.generate(root / f"exports-{modules}", "--modules", modules)
        target, run_dir = root / f"{modules}.db", root / "d"
        process = subprocess.Popen(pipeline.run_command(exports, target, "--run-dir", run_dir), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        peaks = dict.fromkeys(pipeline.STAGES, 0)

        def ended():
            for stage in pipeline.STAGES:
                pid = pipeline.pid_of(run_dir, stage)
                peaks[stage] = max(peaks[stage], peak_kib(pid) if pid else 0)
            return process.poll() is not None
        pipeline.wait_until(ended, f"{modules} modules", deadline=1800)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        process.stderr.close()
        self.assertTrue(all(peaks.values()), peaks)
        for path in [*exports, target]:
            path.unlink()
        print(f"{modules} modules: {sum(peaks.values()) // 1024} MiB:",
              ", ".join(f"{stage} {kib // 1024}" for stage, kib in peaks.items()), file=sys.stderr)
        return sum(peaks.values())

    def test_bounded(self):
        with pipeline.folder() as root:
            small, large = [self.peaks(root, modules) for modules in SIZES]
        self.assertLess(large, LIMIT_KIB)
        self.assertLess(large, small + NOISE_KIB)


if __name__ == "__main__":
    unittest.main()
