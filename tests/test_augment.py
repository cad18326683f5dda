"""Observations against crops of edge-padded frames, searched for in NumPy."""

from math import erf, exp, pi, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from networks.augment import draw_jitter, observe
from networks.settings import Augmentation

STACK = 4


def random_input(batch: int, jumps: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frames that are nowhere black, which of them to show, where the observations s_t .. s_{t+K}, s_{t+n} begin."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(1, 256, (batch, jumps + 8, height, width), generator=generator, dtype=torch.uint8)
    visible = (torch.rand(jumps + 2, batch, STACK, generator=generator) > 0.3).float()
    visible[..., -1] = 1
    return frames, visible, torch.tensor([*range(jumps + 1), jumps + 4])


def plain(frames: Tensor, visible: Tensor, first: Tensor) -> np.ndarray:
    """The stacks after black-out, in 0 .. 255; float64 [S, B, 4, H, W]."""
    out = np.zeros((*visible.shape, *frames.shape[2:]))
    for s, start in enumerate(first.tolist()):
        for i in range(STACK):
            out[s, :, i] = frames[:, start + i].numpy() * visible[s, :, i, None, None].numpy()
    return out


def look(
    inputs: tuple[Tensor, Tensor, Tensor],
    augmentation: Augmentation | None,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    s, b, _ = inputs[1].shape
    return observe(*inputs, augmentation, draw_jitter(augmentation, s, b, generator or torch.Generator().manual_seed(seed)))


def recover(out: np.ndarray, stacks: np.ndarray, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """The one shift (y, x) in -pad .. pad, int [S, B, 2], and gain [S, B] that make each observation of its own stack.

    Fails if no crop times one gain, or more than one, gives all four frames.
    """
    *lead, h, w = stacks.shape
    padded = np.pad(stacks, [(0, 0)] * len(lead) + [(pad, pad)] * 2, mode="edge")
    found = np.zeros(out.shape[:2], int)
    shift, gain = np.zeros((*out.shape[:2], 2), int), np.zeros(out.shape[:2])
    for y in range(2 * pad + 1):
        for x in range(2 * pad + 1):
            crop = padded[..., y : y + h, x : x + w] / 255
            factor = out.sum((2, 3, 4)) / crop.sum((2, 3, 4))
            same = np.isclose(out, crop * factor[..., None, None, None], rtol=1e-5, atol=0).all((2, 3, 4))
            found += same
            shift[same], gain[same] = (y - pad, x - pad), factor[same]
    assert (found == 1).all()
    return shift, gain


@pytest.mark.parametrize("jumps", [0, 5])
def test_without_augmentation_an_observation_is_its_stack_over_255(jumps: int) -> None:
    inputs = random_input(6, jumps, 5, 6)
    out = look(inputs, None)
    assert out.shape == (jumps + 2, 6, STACK, 5, 6)
    np.testing.assert_allclose(out, plain(*inputs) / 255, rtol=1e-6)


@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_observations_are_float32_and_channels_last(augmentation: Augmentation | None) -> None:
    out = look(random_input(3, 2, 6, 6), augmentation)
    assert out.dtype == torch.float32
    assert out.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert out[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("pad", "height", "width", "jumps"), [(4, 8, 8, 0), (2, 6, 9, 5), (0, 5, 5, 1), (4, 7, 6, 1)])
def test_each_observation_is_one_shifted_crop_of_its_stack_times_one_gain(
    pad: int, height: int, width: int, jumps: int
) -> None:
    inputs = random_input(20, jumps, height, width)
    shift, gain = recover(look(inputs, Augmentation(pad, 0.05)).numpy(), plain(*inputs), pad)
    assert gain.min() >= 0.9 - 1e-6
    assert gain.max() <= 1.1 + 1e-6
    assert len(np.unique(gain.round(6))) > 0.9 * gain.size  # each observation has its own (a few are clipped alike)
    if pad:
        equal_in_time, equal_in_batch = (shift[1:] == shift[:-1]).all(2), (shift[:, 1:] == shift[:, :-1]).all(2)
        assert equal_in_time.mean() < 0.3
        assert equal_in_batch.mean() < 0.3


def test_shifts_are_uniform_up_to_the_pad_in_every_direction() -> None:
    pad, inputs = 4, random_input(2000, 0, 6, 6)  # of fewer pixels the largest shifts would look alike
    shift, gain = recover(look(inputs, Augmentation(pad, 0.0)).numpy(), plain(*inputs), pad)
    np.testing.assert_allclose(gain, 1, rtol=1e-6)
    cells = np.bincount(((shift[..., 0] + pad) * 9 + shift[..., 1] + pad).ravel(), minlength=81)
    expected = shift.shape[0] * shift.shape[1] / 81
    # All pairs (y, x) alike: 80 degrees of freedom, mean + 5 standard deviations of chi-square.
    assert ((cells - expected) ** 2 / expected).sum() < 80 + 5 * 160**0.5
    # The observations of one sample are shifted independently of each other: equal in one of 81.
    equal = (shift[0] == shift[1]).all(1).mean()
    assert abs(equal - 1 / 81) < 5 * sqrt(1 / 81 / 2000)


@pytest.mark.parametrize("intensity", [0.05, 0.2])
def test_the_gain_is_a_normal_clipped_at_two_deviations(intensity: float) -> None:
    batch = 20_000
    inputs = (torch.full((batch, 8, 1, 1), 255, dtype=torch.uint8), torch.ones(2, batch, STACK), torch.tensor([0, 4]))
    out = look(inputs, Augmentation(0, intensity))[..., 0, 0]
    assert out.eq(out[..., :1]).all()  # one gain for the four frames
    z = (out[..., 0].double().numpy().ravel() - 1) / intensity
    assert np.abs(z).max() <= 2 + 1e-4
    inside, tail, density = erf(2 / sqrt(2)), 1 - erf(2 / sqrt(2)), exp(-2) / sqrt(2 * pi)
    variance = inside - 4 * density + 4 * tail  # of clip(normal, -2, 2)
    error = 1 / sqrt(z.size)
    assert abs(z.mean()) < 5 * error
    assert abs(z.std() - sqrt(variance)) < 5 * error
    assert abs((np.abs(z) > 2 - 1e-4).mean() - tail) < 5 * error * sqrt(tail)
    assert abs(np.corrcoef(z[:batch], z[batch:])[0, 1]) < 5 / sqrt(batch)


def test_the_generator_decides_the_augmentation() -> None:
    inputs, generator = random_input(4, 2, 6, 6), torch.Generator().manual_seed(3)
    first, second = (look(inputs, Augmentation(), generator=generator) for _ in range(2))
    assert torch.equal(first, look(inputs, Augmentation(), seed=3))
    assert not torch.equal(first, look(inputs, Augmentation(), seed=4))
    assert not torch.equal(first, second)


def test_jitter_of_another_batch_is_refused() -> None:
    frames, visible, first = random_input(1, 2, 6, 6)
    jitter = draw_jitter(Augmentation(), len(first), 4, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"jitter is of \[4, 4\] observations, not \[4, 1\]"):
        observe(frames, visible, first, Augmentation(), jitter)
