"""The property tests again with many other seeds, and what takes gigabytes."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
import test_damage
import test_oids
import test_roundtrip

from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema

TESTS = [
    test_oids.test_form_does_not_matter_and_the_second_reader_agrees,
    test_oids.test_another_table_has_another_oid,
    test_oids.test_tables_with_a_key_have_one_oid_in_any_order,
    test_roundtrip.test_read_gives_what_was_written,
    test_damage.test_changed_objects,
    test_damage.test_changed_fragments_are_refused_or_read_right,
]


@pytest.mark.long
@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_with_many_seeds(test: Callable[[], None]) -> None:
    for i in range(30):
        hypothesis.seed(i)(test)()


@pytest.mark.long
def test_a_dictionary_that_decodes_to_three_gigabytes() -> None:
    array = pa.DictionaryArray.from_arrays(np.zeros(30_000, np.int32), pa.array(["x" * 100_000]))
    batch = pa.RecordBatch.from_arrays([array], ["a"])
    rows = [b.num_rows for b in normalise(batch, Schema.from_arrow(batch.schema))]
    assert sum(rows) == 30_000
    assert len(rows) > 10
