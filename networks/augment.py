"""From stored frames to the observations that a network sees: cut, shift, scale; batched and on the device."""

import torch
from torch import Tensor

from networks.settings import Augmentation

STACK = 4


def observe(
    frames: Tensor, visible: Tensor, first: Tensor, augmentation: Augmentation | None, generator: torch.Generator
) -> Tensor:
    """Observations from frames that are stored once.

    `frames` uint8 [B, F, H, W]; `visible` float32 [S, B, 4] is 0 where a frame must read as black; `first` int64 [S] says
    where each observation's four frames begin. The result is float32 [S, B, 4, H, W] in [0, 1] (up to 1.1 with intensity),
    channels last.
    """
    gain = visible / 255
    if augmentation is None:
        stacks = cut(frames, first)
    else:
        stacks = random_shift(frames, first, augmentation.pad, generator)
        gain = gain * random_gain(visible.shape[:2], augmentation.intensity, generator).unsqueeze(2)
    s, b, c, h, w = stacks.shape
    out = torch.empty(s * b, c, h, w, device=frames.device, memory_format=torch.channels_last)
    torch.mul(stacks.view(s * b, c, h, w), gain.reshape(s * b, c, 1, 1), out=out)
    return out.view(s, b, c, h, w)


def cut(frames: Tensor, first: Tensor) -> Tensor:
    """The stacks of four that begin at `first`, int64 [S], of `frames` uint8 [B, F, H, W]; uint8 [S, B, 4, H, W]."""
    index = first.unsqueeze(1) + torch.arange(STACK, device=frames.device)
    return frames[:, index].transpose(0, 1).contiguous()


def random_shift(frames: Tensor, first: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """`cut`, each stack shifted by its own whole number of pixels in -pad .. pad each way, the edges repeated."""
    b, _, h, w = frames.shape
    rows = torch.arange(-pad, h + pad, device=frames.device).clamp_(0, h - 1)
    columns = torch.arange(-pad, w + pad, device=frames.device).clamp_(0, w - 1)
    padded = frames.index_select(2, rows).index_select(3, columns)
    # Every crop of every stack, as a view [B, F - 3, 2 pad + 1, 2 pad + 1, 4, H, W]; one gather copies those wanted.
    crops = padded.unfold(1, STACK, 1).unfold(2, h, 1).unfold(3, w, 1)
    shift = torch.randint(2 * pad + 1, (2, len(first), b), generator=generator, device=frames.device)
    return crops[torch.arange(b, device=frames.device), first.unsqueeze(1), shift[0], shift[1]]


def random_gain(shape: torch.Size, intensity: float, generator: torch.Generator) -> Tensor:
    """Factors 1 + intensity * clip(normal, -2, 2), float32 of `shape`."""
    return 1 + intensity * torch.randn(shape, generator=generator, device=generator.device).clamp_(-2, 2)
