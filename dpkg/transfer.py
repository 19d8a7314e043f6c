"""Moving objects between odbs: only what the other side lacks, in parallel, verified, children before parents (STO-9).

What a stored commit reaches is complete, as a commit is only written when everything below it is durable. Nothing else that is
present says so much: a power cut may have left a node without what it names. So a walk stops at what the parent commit's tree has
at the same place, and nowhere else; below that it looks at each blob and fragment, and sends those that are lacking.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from dpkg import progress
from dpkg.errors import Corrupt, Format
from dpkg.index.reader import child, read_node
from dpkg.objects.commit import Commit
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.oid import Oid
from dpkg.transport import Known, Sent, carry

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.objects.frame import Kind
    from dpkg.objects.table import Table
    from dpkg.odb import Odb

WORKERS = max(4, min(16, 2 * (os.cpu_count() or 2)))
MAX_DEPTH = 128  # trees in trees
