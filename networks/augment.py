"""From stored frames to the observations that a network sees: cut, shift, scale; batched and on the device."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from networks.settings import Augmentation

STACK = 4


class Jitter(NamedTuple):
    """What is random in S augmented observations of a batch of B."""

    shift: Tensor
    """int64 [2, S, B], first row and column of the crop in the padded frame, 0 .. 2 pad"""
    normal: Tensor
    """float32 [S, B], standard normal, of which the brightness is made"""


def draw_jitter(augmentation: Augmentation | None, s: int, b: int, generator: torch.Generator) -> Jitter | None:
    """That of `s` observations of a batch of `b`; None without augmentation."""
    if augmentation is None:
        return None
    shift = torch.randint(2 * augmentation.pad + 1, (2, s, b), generator=generator, device=generator.device)
    return Jitter(shift, torch.randn(s, b, generator=generator, device=generator.device))


def observe(
    frames: Tensor, visible: Tensor, first: Tensor, augmentation: Augmentation | None = None, jitter: Jitter | None = None
) -> Tensor:
    """Observations from frames that are stored once.

    `frames` uint8 [B, F, H, W]; `visible` float32 [S, B, 4] is 0 where a frame must read as black; `first` int64 [S] says
    where each observation's four frames begin. The result is float32 [S, B, 4, H, W] in [0, 1] (up to 1.1 with intensity),
    channels last. With `augmentation` each is changed by its part of `jitter`, whose S and B must be these: else ValueError.
    """
    if jitter is not None and jitter.normal.shape != visible.shape[:2]:
        raise ValueError(f"jitter is of {list(jitter.normal.shape)} observations, not {list(visible.shape[:2])}")
    if augmentation is None or jitter is None:
        stacks, gain = cut(frames, first), None
    else:
        stacks = shifted(frames, first, augmentation.pad, jitter.shift)
        gain = 1 + augmentation.intensity * jitter.normal.clamp(-2, 2)
    stacks *= visible.to(torch.uint8)[..., None, None]
    # The channels go last while they are bytes: a quarter of the traffic.
    pixels = torch.stack(stacks.unbind(2), -1).float()
    if gain is None:
        pixels /= 255
    else:
        pixels *= gain[..., None, None, None] / 255
    return rearrange(pixels, "s b h w c -> s b c h w")


def cut(frames: Tensor, first: Tensor) -> Tensor:
    """The stacks of four that begin at `first`, int64 [S], of `frames` uint8 [B, F, H, W]; uint8 [S, B, 4, H, W]."""
    b, f, h, w = frames.shape
    start = torch.arange(b, device=frames.device) * f + first.unsqueeze(1)
    return _select(frames, start * h * w, (h, w))


def shifted(frames: Tensor, first: Tensor, pad: int, shift: Tensor) -> Tensor:
    """`cut`, each stack shifted by its own pixels, `shift` int64 [2, S, B] less pad each way, the edges repeated."""
    b, f, h, w = frames.shape
    start = torch.arange(b, device=frames.device) * f + first.unsqueeze(1)
    padded = repeat_edges(frames, pad)
    return _select(padded, (start * padded.shape[2] + shift[0]) * padded.shape[3] + shift[1], (h, w))


def _select(frames: Tensor, start: Tensor, size: tuple[int, int]) -> Tensor:
    """Crops of four successive frames each, of `size`, whose first pixels lie at `start`, int64 [S, B]; uint8 [S, B, 4, *size].

    `start` counts pixels of `frames`, uint8 [B, F, H, W], from the first on. Every crop there could be is a row of one view
    whose rows overlap, so that the crops are copied line by line and not pixel by pixel.
    """
    _, _, h, w = frames.shape
    reach = (STACK - 1) * h * w + (size[0] - 1) * w + size[1]  # from the first pixel of a crop to its last, both counted
    crops = frames.as_strided((frames.numel() - reach + 1, STACK, *size), (1, h * w, w, 1))
    return crops.index_select(0, start.view(-1)).view(*start.shape, STACK, *size)


def repeat_edges(frames: Tensor, pad: int) -> Tensor:
    """`frames` uint8 [B, F, H, W] with their edges repeated `pad` times on each side; uint8 [B, F, H + 2 pad, W + 2 pad]."""
    b, f, h, w = frames.shape
    out = frames.new_empty(b, f, h + 2 * pad, w + 2 * pad)
    middle = out[..., pad : pad + w]
    middle[:, :, pad : pad + h] = frames
    middle[:, :, :pad] = frames[:, :, :1]
    middle[:, :, pad + h :] = frames[:, :, -1:]
    out[..., :pad] = out[..., pad : pad + 1]
    out[..., pad + w :] = out[..., pad + w - 1 : pad + w]
    return out
