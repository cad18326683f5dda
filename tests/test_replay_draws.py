"""What may be drawn from the buffer, how often, and how many rows that takes."""

import numpy as np
import pytest
import torch

from replay.batch import STACK, Rule, Window, uniform
from replay.buffer import ReplayBuffer
from replay.priorities import ONE
from tests.test_replay import GAMMA, SIDE, make, random_step, scripted


def test_new_rows_get_the_largest_priority_ever_written() -> None:
    buffer = make(30, 1, n_max=3, jumps=0, alpha=1.0)
    scripted(buffer, 8)
    buffer.reprioritise_(torch.tensor([1, 2]), torch.tensor([7.0, 0.5]))
    buffer.reprioritise_(torch.tensor([1]), torch.tensor([0.25]))  # the maximum is kept when its row loses it
    scripted(buffer, 10)
    assert (buffer.priorities.value / ONE).tolist()[:8] == [1, 0.25, 0.5, 1, 1, 7, 7, 0]


def test_new_rows_get_1_where_the_rule_says_so() -> None:
    """As in mila-iqia/spr, whatever was written before."""
    buffer = ReplayBuffer(30, 1, Window(3, 0, SIDE), Rule(0.5, "one"), device="cpu", seed=0)
    scripted(buffer, 8)
    buffer.reprioritise_(torch.tensor([1]), torch.tensor([9.0]))
    scripted(buffer, 12)
    assert (buffer.priorities.value / ONE).tolist()[:9] == [1, 3, 1, 1, 1, 1, 1, 1, 1]
    state = buffer.state_dict()
    buffer.load_state_dict(state | {"largest": torch.tensor(5 * ONE)})
    scripted(buffer, 13)
    assert buffer.priorities.value[9] == ONE


def test_alpha_0_draws_all_drawable_rows_equally() -> None:
    buffer = make(60, 2, n_max=5, jumps=0, alpha=0.0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        buffer.append(*random_step(rng, 2))
    rows = buffer.priorities.value.nonzero().flatten()
    buffer.reprioritise_(rows, torch.rand(len(rows), generator=torch.Generator().manual_seed(0)) * 100)
    batch = buffer.sample(uniform(5 * len(rows), buffer.generator), torch.tensor(5), torch.tensor(GAMMA), torch.tensor(1.0))
    assert torch.equal(batch.index, rows.repeat_interleave(5))  # one from each slice, so exactly five times
    assert batch.weight.eq(1).all()


def test_the_seed_decides_what_is_drawn() -> None:
    def draws(seed: int) -> list[list[int]]:
        buffer, rng = make(60, 2, 5, 0, seed=seed), np.random.default_rng(0)
        for _ in range(40):
            buffer.append(*random_step(rng, 2))
        arguments = torch.tensor(5), torch.tensor(GAMMA), torch.tensor(1.0)
        return [buffer.sample(uniform(8, buffer.generator), *arguments).index.tolist() for _ in range(3)]

    first = draws(1)
    assert first == draws(1)
    assert first != draws(2)
    assert first[0] != first[1]


def test_100000_rows_take_at_most_720_megabytes() -> None:
    def size(rows: int) -> int:
        buffer = ReplayBuffer(rows, 1, Window(10, 5), Rule(0.5), device="cpu", seed=0)
        values = [*vars(buffer).values(), *vars(buffer.priorities).values()]
        return sum(x.untyped_storage().nbytes() for x in values if isinstance(x, torch.Tensor))

    row = (size(400) - size(200)) / 200
    assert row >= 84 * 84  # the frames were counted
    assert size(200) + (100_000 - 200) * row <= 720e6


@pytest.mark.parametrize(("n_max", "jumps"), [(1, 0), (3, 5), (10, 5)])
def test_the_shortest_ring_always_has_a_row_to_draw_and_no_shorter_one_is_taken(n_max: int, jumps: int) -> None:
    """Wherever a time limit falls, as long as the next one is not within the same ring."""
    needed = 2 * max(n_max, jumps) + STACK
    with pytest.raises(ValueError, match=f"too few: a window of {max(n_max, jumps)} needs {needed} in each"):
        make(2 * needed - 1, 2, n_max, jumps)
    for first in range(needed):
        buffer, least = make(needed, 1, n_max, jumps), needed
        limits = range(max(n_max, jumps) + 1 + first, 5 * needed, needed)
        for count in range(max(n_max, jumps) + 1, 5 * needed):
            scripted(buffer, count, truncated=limits)
            least = min(least, int(buffer.priorities.value.count_nonzero()))
        assert least == 1  # so one less would be too few
