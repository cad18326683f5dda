"""Losses and schedules against loops and closed forms in NumPy, in float64 where rounding would hide a mistake."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.config import AgentConfig, Anneal, Replay
from agents.losses import categorical_td, project_categorical, self_prediction
from agents.schedules import anneal, updates_due


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_probs(rng: np.random.Generator, rows: int, atoms: int) -> np.ndarray:
    return softmax(rng.normal(0, 2, (rows, atoms)))


def naive_projection(probs: np.ndarray, atoms: np.ndarray, ret: np.ndarray, discount: np.ndarray) -> np.ndarray:
    """Move one atom's mass at a time and share it between the two atoms around its place."""
    out = np.zeros_like(probs)
    step = atoms[1] - atoms[0]
    for i in range(len(probs)):
        for mass, atom in zip(probs[i], atoms, strict=True):
            place = ret[i] + discount[i] * atom
            if place <= atoms[0]:
                out[i, 0] += mass
            elif place >= atoms[-1]:
                out[i, -1] += mass
            else:
                lower = int((place - atoms[0]) / step)
                upper_share = (place - atoms[lower]) / step
                out[i, lower] += mass * (1 - upper_share)
                out[i, lower + 1] += mass * upper_share
    return out


def project(probs: np.ndarray, atoms: np.ndarray, ret: np.ndarray, discount: np.ndarray) -> np.ndarray:
    return project_categorical(*(torch.from_numpy(x) for x in (probs, atoms, ret, discount))).numpy()


@pytest.mark.parametrize(("atoms", "low", "high"), [(51, -10.0, 10.0), (2, -1.0, 1.0), (7, 0.0, 3.0)])
def test_the_projection_equals_a_loop_over_atoms(atoms: int, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    support = np.linspace(low, high, atoms)
    probs = random_probs(rng, 200, atoms)
    ret = rng.normal((low + high) / 2, high - low, 200)
    discount = rng.uniform(0, 1, 200) * (rng.random(200) > 0.3)
    moved = ret[:, None] + discount[:, None] * support
    assert (moved < low).all(1).any()  # some distributions lie wholly outside, others partly, at either end
    assert (moved > high).all(1).any()
    expected = naive_projection(probs, support, ret, discount)
    np.testing.assert_allclose(project(probs, support, ret, discount), expected, rtol=0, atol=1e-12)
    single = project(*(x.astype(np.float32) for x in (probs, support, ret, discount)))
    np.testing.assert_allclose(single, expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(single.sum(1), 1, rtol=0, atol=2e-5)


def test_without_bootstrap_all_mass_is_at_the_return() -> None:
    support = np.linspace(-10, 10, 51)
    probs = random_probs(np.random.default_rng(0), 5, 51)
    projected = project(probs, support, np.array([0.0, 0.1, -3.9, 99.0, -99.0]), np.zeros(5))
    expected = np.zeros((5, 51))
    expected[0, 25] = 1
    expected[1, 25], expected[1, 26] = 0.75, 0.25  # 0.1 is a quarter of the way from 0 to 0.4
    expected[2, 15], expected[2, 16] = 0.75, 0.25  # between -4 and -3.6
    expected[3, -1] = expected[4, 0] = 1
    np.testing.assert_allclose(projected, expected, rtol=0, atol=1e-12)


def test_places_on_atoms_are_hit_exactly() -> None:
    support = np.linspace(-2, 2, 5)
    probs = np.array([[0.1, 0.2, 0.4, 0.2, 0.1]] * 4)
    projected = project(probs, support, np.array([0.0, 1.0, -3.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.5]))
    expected = [
        [0.1, 0.2, 0.4, 0.2, 0.1],
        [0.0, 0.1, 0.2, 0.4, 0.3],  # one atom up, the last two meet
        [0.9, 0.1, 0.0, 0.0, 0.0],  # three down
        [0.0, 0.2, 0.6, 0.2, 0.0],  # halved: -2 -> -1, -1 -> -0.5 shared by -1 and 0
    ]
    np.testing.assert_allclose(projected, expected, rtol=0, atol=1e-12)


def random_td(target_zeros: bool) -> tuple[np.ndarray, np.ndarray]:
    """Logits and a target distribution, both [64, 51]."""
    rng = np.random.default_rng(0)
    logits, target = rng.normal(0, 3, (64, 51)), random_probs(rng, 64, 51)
    if target_zeros:  # as a projection makes them
        target = target * (rng.random((64, 51)) < 0.1) + 1e-30
        target[0] = np.eye(51)[7]
        target /= target.sum(1, keepdims=True)
    return logits, target


@pytest.mark.parametrize("target_zeros", [False, True])
def test_cross_entropy_and_divergence_equal_their_definitions(target_zeros: bool) -> None:
    logits, target = random_td(target_zeros)
    cross_entropy, divergence = categorical_td(torch.from_numpy(logits), torch.from_numpy(target))
    log_p = np.log(softmax(logits))
    log_ratio = np.log(np.maximum(target, 1e-300)) - log_p
    np.testing.assert_allclose(cross_entropy, -(target * log_p).sum(1), rtol=1e-10)
    np.testing.assert_allclose(divergence, (target * log_ratio).sum(1), rtol=1e-8)


def test_both_losses_have_the_gradient_softmax_minus_target() -> None:
    logits, target = random_td(target_zeros=False)
    gradients = []
    for which in (0, 1):
        x = torch.from_numpy(logits).requires_grad_()
        categorical_td(x, torch.from_numpy(target))[which].sum().backward()
        gradients.append(x.grad)
    np.testing.assert_allclose(gradients[0], softmax(logits) - target, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=0, atol=1e-12)


def test_the_divergence_of_equal_distributions_is_0_and_never_below() -> None:
    logits = torch.randn(4000, 51, generator=torch.Generator().manual_seed(0))  # float32: rounding gives both signs
    divergence = categorical_td(logits, logits.softmax(1))[1]
    assert divergence.min() >= 0
    assert divergence.max() < 1e-5


def random_vectors(k: int, b: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(k, b, d)), rng.normal(size=(k, b, d)), (rng.random((k, b)) < 0.6).astype(np.float64)


def test_self_prediction_is_2_minus_2_cos_over_the_steps_that_count() -> None:
    predicted, target, mask = random_vectors(5, 8, 16)
    expected = np.zeros(8)
    for k in range(5):
        for b in range(8):
            x, y = predicted[k, b], target[k, b]
            cos = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            expected[b] += mask[k, b] * (2 - 2 * cos) / 5  # the divisor is K, however many steps are masked
    loss = self_prediction(*(torch.from_numpy(x) for x in (predicted, target, mask)))
    np.testing.assert_allclose(loss, expected, rtol=1e-10)
    assert 0 < mask.mean() < 1


def test_self_prediction_of_opposite_and_of_equal_directions() -> None:
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.ones(4, 3, dtype=torch.float64)
    mask[:, 1], mask[1:, 2] = 0, 0
    np.testing.assert_allclose(self_prediction(x, 7 * x, mask), 0, atol=1e-12)  # length is no matter
    np.testing.assert_allclose(self_prediction(x, -x, mask), [4, 0, 1], atol=1e-12)


def test_self_prediction_divides_short_vectors_by_a_thousandth() -> None:
    short = torch.zeros(1, 1, 2, dtype=torch.float64)
    short[..., 0] = 1e-4
    unit = torch.tensor([[[0.0, 5.0]]], dtype=torch.float64)
    loss = self_prediction(short, unit, torch.ones(1, 1, dtype=torch.float64))
    np.testing.assert_allclose(loss, 0.1**2 + 1, rtol=1e-12)


WRONG: list[tuple[str, Callable[..., object], tuple[tuple[int, ...], ...]]] = [
    ("atoms", project_categorical, ((4, 5), (1,), (4,), (4,))),
    ("ret", project_categorical, ((4, 5), (5,), (4, 1), (4,))),
    ("ret", project_categorical, ((4, 5), (5,), (1,), (4,))),
    ("discount", project_categorical, ((4, 5), (5,), (4,), (1,))),
    ("discount", project_categorical, ((4, 5), (5,), (4,), ())),
    ("logits", categorical_td, ((4, 1), (4, 5))),
    ("logits", categorical_td, ((1, 5), (4, 5))),
    ("target", self_prediction, ((3, 4, 5), (3, 1, 5), (3, 4))),
    ("target", self_prediction, ((3, 4, 5), (4, 5), (3, 4))),
    ("mask", self_prediction, ((3, 4, 5), (3, 4, 5), (4,))),
    ("mask", self_prediction, ((3, 4, 5), (3, 4, 5), (3, 1))),
    ("mask", self_prediction, ((4, 4, 5), (4, 4, 5), (4, 4, 1))),
]


@pytest.mark.parametrize(("name", "loss", "shapes"), WRONG)
def test_a_shape_that_would_broadcast_is_refused(
    name: str, loss: Callable[..., object], shapes: tuple[tuple[int, ...], ...]
) -> None:
    tensors: list[Tensor] = [torch.ones(shape) for shape in shapes]
    with pytest.raises(ValueError, match=f"^{name} must be"):
        loss(*tensors)


@pytest.mark.parametrize("schedule", [Anneal(1.0, 0.1, 5000), Anneal(0.4, 1.0, 98_000), Anneal(0.5, 0.5, 3)])
def test_annealing_is_linear_between_its_ends(schedule: Anneal) -> None:
    steps = schedule.steps
    elapsed = [-steps, -1, 0, 1, steps // 3, steps - 1, steps, steps + 1, 10 * steps]
    expected = np.interp(elapsed, [0, steps], [schedule.start, schedule.end])
    np.testing.assert_allclose([anneal(schedule, e) for e in elapsed], expected, rtol=1e-12)


def test_annealing_over_0_steps_changes_at_the_end_of_the_warm_up() -> None:
    schedule = Anneal(1.0, 0.0, 0)
    assert [anneal(schedule, elapsed) for elapsed in (-2000, -1, 0, 1, 98_000)] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.0, [0, 0, 0, 1, 2, 3, 4]), (2.0, [0, 0, 0, 2, 4, 6, 8]), (0.5, [0, 0, 0, 0, 1, 1, 2])]
)
def test_updates_follow_the_replay_ratio_after_the_warm_up(ratio: float, expected: list[int]) -> None:
    config = AgentConfig(replay=Replay(ratio=ratio, warmup_steps=1600))
    assert [updates_due(config, env_step) for env_step in (0, 1599, 1600, 1601, 1602, 1603, 1604)] == expected
    assert updates_due(AgentConfig(optimizer=None), 100_000) == 0
