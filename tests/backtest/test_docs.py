"""Does the example of the page run, and print what the page says?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"


def test_the_example_prints_what_the_page_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (promised,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert (
        subprocess.run([sys.executable, "-c", example], check=True, capture_output=True, text=True).stdout == promised
    )
