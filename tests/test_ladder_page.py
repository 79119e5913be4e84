"""Is the diagram of an input's states up to date?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "make_ladder.py"


def test_the_committed_diagram_is_what_an_input_does() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"run: make ladder\n{done.stderr}"
    assert json.loads(done.stdout) == {"ways": 9, "is_up_to_date": True}
