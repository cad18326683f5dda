"""The buffer against a naive twin on random streams, and against tables written by hand."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from replay.batch import STACK, Batch, Rule, Window, first_frames, uniform
from replay.buffer import ReplayBuffer
from replay.priorities import ONE
from replay.stack import FrameStack
from tests.naive_replay import SMALLEST, NaiveReplay, Row

SIDE = 4
GAMMA = 0.9


def make(capacity: int, lanes: int, n_max: int, jumps: int, alpha: float = 0.5, seed: int = 0) -> ReplayBuffer:
    return ReplayBuffer(capacity, lanes, Window(n_max, jumps, SIDE), Rule(alpha), device="cpu", seed=seed)


def random_step(rng: np.random.Generator, lanes: int) -> tuple[np.ndarray, ...]:
    """Frame (never black, so that a black-out shows), action, reward, terminal, truncated."""
    return (
        rng.integers(1, 256, (lanes, SIDE, SIDE), dtype=np.uint8),
        rng.integers(18, size=lanes),
        rng.integers(-1, 2, lanes).astype(np.float32),
        rng.random(lanes) < 0.1,
        rng.random(lanes) < 0.06,
    )


def scripted(buffer: ReplayBuffer, count: int, terminal: Sequence[int] = (), truncated: Sequence[int] = ()) -> None:
    """Append rows 0 .. count - 1 to a buffer of one lane: row t shows t + 1, takes action t and earns t + 1."""
    for t in range(buffer.time, count):
        frame = torch.full((1, SIDE, SIDE), t + 1, dtype=torch.uint8)
        flags = (torch.tensor([t in terminal]), torch.tensor([t in truncated]))
        buffer.append(frame, torch.tensor([t]), torch.tensor([t + 1.0]), *flags)


def gather(buffer: ReplayBuffer, index: Sequence[int], n: int) -> Batch:
    rows = torch.tensor(index)
    return buffer.gather(rows, torch.tensor(n), torch.tensor(GAMMA), torch.ones(len(rows)))


def observations(batch: Batch, jumps: int) -> np.ndarray:
    """The S = jumps + 2 observations after black-out, [S, B, 4, side, side]."""
    stacks = [batch.frames[:, f : f + STACK] for f in first_frames(jumps).tolist()]
    return (torch.stack(stacks) * batch.visible[..., None, None]).numpy()


def check_priorities(buffer: ReplayBuffer, naive: NaiveReplay) -> None:
    expected = np.zeros(buffer.num_lanes * buffer.steps)
    for row in naive.rows():
        expected[row.address] = row.priority
    actual = buffer.priorities.value.numpy() / ONE
    np.testing.assert_array_equal(actual > 0, expected > 0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=SMALLEST)  # a unit of the fixed point


def check_windows(batch: Batch, naive: NaiveReplay, rows: list[Row], n: int, seen: Counter[str]) -> None:
    """`batch` is exactly what the twin gives for `rows`; counts the cases that make the comparison worth anything."""
    samples = [naive.sample(row, n, GAMMA) for row in rows]
    expected = np.stack([s.observations for s in samples], 1)
    np.testing.assert_array_equal(observations(batch, naive.jumps), expected)
    np.testing.assert_array_equal(batch.action, [s.action for s in samples])
    np.testing.assert_allclose(batch.ret, [s.ret for s in samples], rtol=0, atol=1e-5)
    np.testing.assert_allclose(batch.discount, [s.discount for s in samples], rtol=1e-5)
    np.testing.assert_array_equal(batch.mask, np.array([s.mask for s in samples]).T.reshape(naive.jumps, len(rows)))
    assert batch.index.tolist() == [row.address for row in rows]
    types = (batch.frames, batch.action, batch.visible, batch.ret, batch.discount, batch.mask, batch.weight, batch.index)
    assert [x.dtype for x in types] == [torch.uint8, torch.int64, *[torch.float32] * 5, torch.int64]
    seen["bootstrapped"] += sum(s.discount > 0 for s in samples)
    seen["terminal"] += sum(s.discount == 0 for s in samples)
    seen["masked"] += sum(0 in s.mask for s in samples)
    seen["blacked out"] += int((expected == 0).all((3, 4)).sum())


STREAMS = [
    pytest.param(15, 1, 1, 0, id="1 lane, n 1, K 0"),
    pytest.param(62, 3, 7, 0, id="3 lanes that leave rows over, n 7, K 0"),
    pytest.param(44, 2, 3, 5, id="2 lanes, n below K"),
    pytest.param(98, 4, 10, 5, id="4 lanes, n above K"),
]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("capacity", "lanes", "n_max", "jumps"), STREAMS)
def test_a_random_stream_leaves_the_buffer_equal_to_a_naive_twin(
    capacity: int, lanes: int, n_max: int, jumps: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    buffer, naive = make(capacity, lanes, n_max, jumps), NaiveReplay(capacity // lanes, lanes, n_max, jumps, 0.5, SIDE)
    drawn, index, seen = [], torch.empty(0, dtype=torch.int64), Counter[str]()
    for _ in range(70):
        for _ in range(rng.integers(1, 4)):  # fewer than an address needs to be dead, overwritten and drawable again
            step = random_step(rng, lanes)
            buffer.append(*step)
            naive.append(*step)
        if drawn:  # written after the appends: some of these rows are gone by now
            priority = (10 ** rng.uniform(-8, 1, len(drawn))).astype(np.float32)
            seen["written late"] += sum(row.priority == 0 for row in drawn)
            buffer.reprioritise_(index, torch.from_numpy(priority))
            naive.write(drawn, priority.tolist())
        check_priorities(buffer, naive)
        rows = naive.drawable()
        seen["nothing drawable"] += not rows
        for n in {1, (n_max + 1) // 2, n_max} if rows else ():
            check_windows(gather(buffer, [row.address for row in rows], n), naive, rows, n, seen)
        drawn = []
        if rows:
            n = int(rng.integers(1, n_max + 1))
            batch = buffer.sample(uniform(8, buffer.generator), torch.tensor(n), torch.tensor(GAMMA), torch.tensor(0.7))
            index, drawn = batch.index, naive.at(batch.index.tolist())
            assert all(row.priority > 0 for row in drawn)
            check_windows(batch, naive, drawn, n, seen)
            p = np.array([row.priority for row in drawn])
            if p.min() > 1e-4:  # below that a unit of the fixed point would show
                np.testing.assert_allclose(batch.weight, (p.min() / p) ** 0.7, rtol=0.01)
                seen["weighed"] += 1
    assert buffer.time > 5 * buffer.steps  # the ring went round several times
    cases = ("bootstrapped", "terminal", "blacked out", "written late", "weighed", *(["masked"] if jumps else []))
    assert all(seen[case] > 10 for case in cases), seen
    assert seen["nothing drawable"] < 35


def test_returns_discounts_and_masks_around_a_terminal() -> None:
    buffer = make(30, 1, n_max=3, jumps=2)
    scripted(buffer, 12, terminal=[5])
    batch = gather(buffer, [2, 3, 4, 5, 6], n=3)
    g = GAMMA
    returns = [3 + 4 * g + 5 * g**2, 4 + 5 * g + 6 * g**2, 5 + 6 * g, 6, 7 + 8 * g + 9 * g**2]
    np.testing.assert_allclose(batch.ret, returns, rtol=1e-6)
    # Row 2 still bootstraps at s_5; for row 3 the terminal is the last of its n rewards.
    np.testing.assert_allclose(batch.discount, [g**3, 0, 0, 0, g**3], rtol=1e-6)
    assert batch.mask.tolist() == [[1, 1, 0, 0, 1], [1, 0, 0, 0, 1]]
    assert batch.action.tolist() == [[2, 3], [3, 4], [4, 5], [5, 6], [6, 7]]


@pytest.mark.smoke
def test_stacks_stop_at_the_start_and_at_an_end() -> None:
    buffer = make(30, 1, n_max=3, jumps=2)
    scripted(buffer, 20, terminal=[5], truncated=[11])
    seen = observations(gather(buffer, [0, 2, 6, 12], n=3), jumps=2)[..., 0, 0]  # [S, B, 4]: t + 1, or 0 for black
    assert seen[:, 0].tolist() == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4]]
    assert seen[:, 1].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]]
    assert seen[:, 2].tolist() == [[0, 0, 0, 7], [0, 0, 7, 8], [0, 7, 8, 9], [7, 8, 9, 10]]
    assert seen[:, 3].tolist() == [[0, 0, 0, 13], [0, 0, 13, 14], [0, 13, 14, 15], [13, 14, 15, 16]]


def test_a_window_across_a_time_limit_is_not_drawable_unless_a_terminal_comes_first() -> None:
    buffer = make(30, 1, n_max=3, jumps=2)
    scripted(buffer, 24, terminal=[15, 20], truncated=[8, 16, 20])  # at 20 both: the terminal counts
    drawable = buffer.priorities.value.nonzero().flatten().tolist()
    assert drawable == [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20]


def test_a_row_is_drawable_from_the_end_of_its_window_until_its_stack_is_overwritten() -> None:
    buffer = make(16, 1, n_max=3, jumps=5)
    for count in range(1, 60):
        scripted(buffer, count)
        alive = [t for t in range(count) if t + 5 < count and t - 3 >= count - 16]
        drawable = buffer.priorities.value.nonzero().flatten().tolist()
        assert drawable == sorted(t % 16 for t in alive)


def test_a_row_overwritten_since_it_was_drawn_keeps_priority_0() -> None:
    buffer = make(16, 1, n_max=3, jumps=0)
    scripted(buffer, 13)
    index = torch.tensor([0, 1, 2])
    assert buffer.priorities.value[index].tolist() == [ONE] * 3
    scripted(buffer, 15)  # frames -3 and -2 of the stacks of rows 0 and 1 are gone
    buffer.reprioritise_(index, torch.full((3,), 4.0))
    assert buffer.priorities.value[index].tolist() == [0, 0, 2 * ONE]


@pytest.mark.smoke
def test_the_acting_stack_is_what_replay_rebuilds() -> None:
    rng = np.random.default_rng(0)
    buffer, stack = make(200, 2, n_max=1, jumps=0), FrameStack(2, SIDE, "cpu")
    ended, acted = np.zeros(2, bool), []
    for _ in range(60):
        step = random_step(rng, 2)
        stack.push_(step[0], ended)
        acted.append(stack.frames.clone())
        buffer.append(*step)
        ended = step[3] | step[4]
    rows = buffer.priorities.value.nonzero().flatten()
    rebuilt = observations(gather(buffer, rows.tolist(), n=1), jumps=0)[0]
    expected = torch.stack([acted[row % buffer.steps][row // buffer.steps] for row in rows.tolist()])
    np.testing.assert_array_equal(rebuilt, expected)
    assert len(rows) > 80
