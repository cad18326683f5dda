"""An env step arrives on the device as it was, in one copy."""

import numpy as np
import pytest
import torch

from benchmarks.ops import Operators
from replay.upload import Upload


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("side", [4, 84])
def test_each_number_arrives(lanes: int, side: int) -> None:
    upload, rng = Upload(lanes, side, "cpu"), np.random.default_rng(0)
    for _ in range(3):
        sent = (
            rng.integers(256, size=(lanes, side, side), dtype=np.uint8),
            rng.integers(-(2**62), 2**62, size=lanes),
            rng.normal(size=lanes),
            rng.random(lanes) < 0.5,
            rng.random(lanes) < 0.5,
        )
        row = upload(*sent)
        assert [column.dtype for column in row] == [torch.uint8, torch.int64, torch.float32, torch.bool, torch.bool]
        for column, values in zip(row, sent, strict=True):
            np.testing.assert_array_equal(column.numpy(), values.astype(column.numpy().dtype))


def test_a_step_is_one_copy_to_the_device() -> None:
    upload = Upload(2, 84, "cpu")
    sent = np.zeros((2, 84, 84), np.uint8), np.zeros(2, np.int64), np.zeros(2), np.zeros(2, bool), np.zeros(2, bool)
    with Operators() as seen:
        first = upload(*sent)
    assert dict(seen.counts) == {"copy_": 1}
    assert [a.data_ptr() for a in first] == [b.data_ptr() for b in upload(*sent)]
