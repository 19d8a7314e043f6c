"""Puts the folders of the strategies and of the second reader on sys.path: `import strategies`, `import reader`."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("property", "spec"):
    if str(Path(__file__).parent.parent / folder) not in sys.path:
        sys.path.insert(0, str(Path(__file__).parent.parent / folder))
