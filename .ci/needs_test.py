#!/usr/bin/env python3
"""What is missing is installed once, however many ./dev want it at the same time."""

import subprocess
import tempfile
import unittest
from pathlib import Path

NEEDS = Path(__file__).resolve().parent / "needs.sh"
# What the script has of ./dev, and an npm that takes its time and notes when it works.
SCRIPT = f"""
set -euo pipefail
has() {{ command -v "$1" >/dev/null; }}
say() {{ :; }}
fail() {{ exit 1; }}
at_least() {{ true; }}
node() {{ echo v20.0.0; }}
npm() {{
  echo begun >>npm.log
  sleep 0.5
  mkdir -p e2e/node_modules
  echo ended >>npm.log
}}
source {NEEDS}
need_node
"""


class Installing(unittest.TestCase):
    def test_several_at_once_install_once(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "e2e").mkdir()
            (Path(folder) / "e2e/package-lock.json").write_text("{}")
            started = [subprocess.Popen(["bash", "-c", SCRIPT], cwd=folder) for _ in range(4)]
            self.assertEqual([process.wait(30) for process in started], [0] * 4)
            self.assertEqual((Path(folder) / "npm.log").read_text().split(), ["begun", "ended"])

    def test_one_that_fails_lets_the_next_try(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "e2e").mkdir()
            (Path(folder) / "e2e/package-lock.json").write_text("{}")
            failing = SCRIPT.replace("sleep 0.5", "[[ -e npm.failed ]] || { touch npm.failed; return 1; }")
            run = [subprocess.run(["bash", "-c", failing], cwd=folder, timeout=30).returncode for _ in range(2)]
            self.assertEqual(run, [1, 0])


if __name__ == "__main__":
    unittest.main()
