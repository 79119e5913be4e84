"""Is the page of products that deviate up to date?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "make_quirks.py"


def test_the_committed_page_is_what_records_and_results_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["records"] >= 30
    assert sum(said["known"].values()) == said["stations"] >= said["records"]
