"""Puts this folder and the second reader's on sys.path: `import strategies`, `import reader`."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parent.parent / "spec"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
