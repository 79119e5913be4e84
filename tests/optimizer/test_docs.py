"""Do the examples of the documentation run one after the other, and print what it says?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "optimizer.md"


def test_the_examples_print_what_the_document_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    promised = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    together = "\n".join(examples)
    printed = subprocess.run([sys.executable, "-c", together], check=True, capture_output=True, text=True).stdout
    assert len(examples) == len(promised) == 6
    assert printed == "".join(promised)
