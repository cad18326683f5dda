"""From stored frames to the observations that a network sees: cut, shift, scale; batched and on the device."""

import torch
from einops import rearrange
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
    stacks = cut(frames, first) if augmentation is None else random_shift(frames, first, augmentation.pad, generator)
    stacks *= visible.to(torch.uint8)[..., None, None]
    # The channels go last while they are bytes: a quarter of the traffic.
    pixels = torch.stack(stacks.unbind(2), -1).float()
    if augmentation is None:
        pixels /= 255
    else:
        pixels *= random_gain(visible.shape[:2], augmentation.intensity, generator)[..., None, None, None] / 255
    return rearrange(pixels, "s b h w c -> s b c h w")


def cut(frames: Tensor, first: Tensor) -> Tensor:
    """The stacks of four that begin at `first`, int64 [S], of `frames` uint8 [B, F, H, W]; uint8 [S, B, 4, H, W]."""
    b, f, h, w = frames.shape
    start = torch.arange(b, device=frames.device) * f + first.unsqueeze(1)
    return _select(frames, start * h * w, (h, w))


def random_shift(frames: Tensor, first: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """`cut`, each stack shifted by its own whole number of pixels in -pad .. pad each way, the edges repeated."""
    b, f, h, w = frames.shape
    shift = torch.randint(2 * pad + 1, (2, len(first), b), generator=generator, device=frames.device)
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


def random_gain(shape: torch.Size, intensity: float, generator: torch.Generator) -> Tensor:
    """Factors 1 + intensity * clip(normal, -2, 2), float32 of `shape`."""
    return 1 + intensity * torch.randn(shape, generator=generator, device=generator.device).clamp_(-2, 2)
