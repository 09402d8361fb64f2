# SPDX-License-Identifier: MIT
"""kill -9 at every named window: the run finishes by itself, and the database is that of an uninterrupted run."""

import pathlib
import re
import sys
import unittest

import pipeline
import test_manage
import test_rollback
import test_spool

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Windows, and at which passing they strike. The exports make about ten batches of modules and some rejects.
WINDOWS = {
    "reader.after-batch": 4,
    "reader.before-end": 1,
    "reader.after-end": 1,
    "transformer.before-rows": 4,
    "transformer.after-rows": 4,
    "writer.after-begin": 1,
    "writer.before-commit": 4,
    "writer.reject-before-commit": 1,
    "writer.after-commit": 4,
    "writer.after-commit-before-progress": 4,
    "writer.end-before-finish": 1,
    "writer.index-built": 2,
    "writer.finish-before-commit": 1,
    "writer.finish-after-commit": 1,
    "writer.end-after-finish": 1,
    "writer.complete-before-commit": 1,
    "writer.complete-after-commit": 1,
    "writer.complete-before-progress": 1,
    "writer.ended-before-progress": 1,
    "writer.complete-after-progress": 1,
    "validator.before-verdict": 3,
    "validator.after-verdict": 3,
    "validator.before-content": 1,
    "validator.amid-whole": 1,
    "writer.content-proved": 1,
    "validator.before-file": 1,
    "peer.before-bye": 1,
}


class Windows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--audits", 20, "--modules-per-audit", 300, "--trap", "unknown-status=7")
        # Small batches, so that there are enough of them.
        cls.config = pipeline.write_config(cls.root / "small.json", cls.exports, cls.root / "unused.db", cls.root / "unused",
                                           batch_bytes=262144, resend_ms=300)
        reference = cls.root / "reference.db"
        pipeline.run(cls.exports, reference, "--config", cls.config, "--run-dir", cls.root / "r", expect=3)
        cls.reference = pipeline.dump(reference)
        assert pipeline.checkpoints(reference) >= 10, pipeline.checkpoints(reference)

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def strike(self, window, transformers=1):
        name = f"{window.replace('.', '-')}-{transformers}"
        marker = self.root / f"{name}.struck"
        target = self.root / f"{name}.db"
        pipeline.run(self.exports, target, "--config", self.config, "--run-dir", self.root / f"d{len(name)}{transformers}",
                     "--transformers", transformers, expect=3,
                     environment={"PVRELAY_FAULT": f"{window}@{WINDOWS[window]}", "PVRELAY_FAULT_MARKER": str(marker)})
        self.assertTrue(marker.exists(), f"nobody passed {window}")
        pipeline.assert_same_dump(self, self.reference, pipeline.dump(target))
        pipeline.assert_accounted(self, target)
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_reject"), [(7,)])

    def test_every_window_of_the_sources_is_here(self):
        found = set()
        for source in ROOT.glob("*/*.c"):
            found |= set(re.findall(r'pr_fault\("([a-z.-]+)"\)', source.read_text()))
        # Those of a rollback and of a manager are passed there.
        elsewhere = set(test_rollback.WINDOWS) | set(test_manage.WINDOWS) | {window for window, _ in test_spool.WINDOWS}
        self.assertEqual(found, set(WINDOWS) | elsewhere)


def _add(window, transformers):
    def test(self):
        self.strike(window, transformers)
    setattr(Windows, f"test_{window.replace('.', '_').replace('-', '_')}_{transformers}", test)


for _window in WINDOWS:
    _add(_window, 1)
for _window in ("transformer.before-rows", "transformer.after-rows", "writer.after-commit"):
    _add(_window, 3)

if __name__ == "__main__":
    unittest.main(argv=sys.argv)
