"""Convolutional encoders: observations [M, 4, 84, 84] to latents [M, C, h, w]."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import Activation, narrowed
from hare_tortoise.network import Layer
from networks.settings import Encoder, Head

SIDE = 84  # pixels of a frame
FRAMES = 4

# out channels, kernel, stride of each layer
LAYERS = {
    "data_efficient": ((32, 5, 5), (64, 5, 5)),  # van Hasselt et al. 2019; 3 x 3 x 64 = 576 features
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015; 7 x 7 x 64 = 3136 features, 11 x 11 x 64 padded
}
IMPALA = (16, 32, 32)  # channels of the three stages (Espeholt et al. 2018)


class Convolution(nn.Conv2d):
    """A convolution for inputs of one size; with `same` padded as TensorFlow does it.

    There ceil(side / stride) pixels come out, and an odd pixel of padding goes to the bottom and to the right.
    """

    def __init__(self, fan_in: int, fan_out: int, kernel: int, stride: int, side: int | None) -> None:
        """`side`: height and width of the input if it is to be padded, or None."""
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0) if side is not None else 0
        super().__init__(fan_in, fan_out, kernel, stride, padding=total // 2)
        self.odd = total % 2

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [M, fan_in, side, side]; float32 [M, fan_out, out, out]."""
        x = functional.pad(x, (0, 1, 0, 1)) if self.odd else x
        if x.is_cuda and self.stride[0] > 1 and self.kernel_size[0] % self.stride[0] == 0:
            return by_blocks(x, self.weight, self.bias, self.stride[0], int(self.padding[0]))
        return super().forward(x)


def by_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """A convolution whose kernel is a multiple of its `stride`, computed on blocks of pixels that have become channels.

    The same sums in another order: stride 4 with a kernel of 8 x 8 on 4 channels is stride 1 with 2 x 2 on 64, for which
    libraries have faster kernels on a GPU; slower on a CPU (docs/log.md). `x` float32 [M, fan_in, side, side], `weight`
    float32 [fan_out, fan_in, kernel, kernel], `bias` float32 [fan_out]; float32 [M, fan_out, out, out].
    """
    side, kernel = x.shape[-1] + 2 * padding, weight.shape[-1]
    used = side - (side - kernel) % stride - padding  # pixels beyond are read by no position
    x = functional.pad(x, (padding, used - x.shape[-1], padding, used - x.shape[-1]))
    blocks, taps = (functional.pixel_unshuffle(t, stride).contiguous(memory_format=torch.channels_last) for t in (x, weight))
    return functional.conv2d(blocks, taps, bias)


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is carried (Espeholt et al. 2018)."""

    def __init__(self, width: int, settings: Encoder) -> None:
        super().__init__()
        self.before = activation(width, settings, in_place=False)  # the input is carried on
        self.first = nn.Conv2d(self.before.width, width, 3, padding=1)
        self.between = activation(width, settings)
        self.second = nn.Conv2d(self.between.width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [M, width, h, w]; the same shape."""
        return x + self.second(self.between(self.first(self.before(x))))


def activation(units: int, settings: Encoder | Head, in_place: bool = True) -> Activation:
    """What stands behind a layer of `units` by `settings`."""
    return Activation(units, settings.activation, layer_norm=settings.layer_norm, in_place=in_place)


def build_encoder(settings: Encoder) -> nn.Sequential:
    """The layers of `settings.kind`."""
    return _impala(settings) if settings.kind == "impala" else _plain(settings)


def _plain(settings: Encoder) -> nn.Sequential:
    """Convolutions, an activation after each."""
    layers: list[nn.Module] = []
    channels, side = FRAMES, SIDE
    for out, kernel, stride in LAYERS[settings.kind]:
        out = narrowed(settings.width * out, settings.activation)
        same = settings.padding == "same"
        layers += [Convolution(channels, out, kernel, stride, side if same else None), activation(out, settings)]
        channels, side = layers[-1].width, -(-side // stride) if same else (side - kernel) // stride + 1
    return nn.Sequential(*layers)


def _impala(settings: Encoder) -> nn.Sequential:
    """Three stages of convolution, halving and two residual blocks; 84 pixels become 42, 21 and 11."""
    layers: list[nn.Module] = []
    channels, side = FRAMES, SIDE
    for out in IMPALA:
        out = narrowed(settings.width * out, settings.activation)
        # SAME for a window of 3 and a stride of 2: one pixel at the far end of an even side, one at each end of an odd one.
        pool = nn.MaxPool2d(3, 2, padding=1) if side % 2 else nn.MaxPool2d(3, 2, ceil_mode=True)
        layers += [nn.Conv2d(channels, out, 3, padding=1), pool, Residual(out, settings), Residual(out, settings)]
        channels, side = out, -(-side // 2)
    return nn.Sequential(*layers, activation(channels, settings))


def encoder_layers(encoder: nn.Sequential, behind: list[nn.Module]) -> list[Layer]:
    """The hidden layers of `encoder`; `behind` are the layers that read its latent.

    In a residual encoder only those between the two convolutions of a block: the others are carried past layers that would
    have to change with them.
    """
    blocks = [block for block in encoder if isinstance(block, Residual)]
    if blocks:
        return [block.between.layer(block.first, [block.second]) for block in blocks]
    convolutions, activations = list(encoder)[::2], list(encoder)[1::2]
    listeners = [*[[convolution] for convolution in convolutions[1:]], behind]
    return [a.layer(c, heard) for c, a, heard in zip(convolutions, activations, listeners, strict=True)]


def renormalise(latent: Tensor) -> Tensor:
    """Scale each sample of `latent`, float [M, C, h, w], to [0, 1]. The 1e-5 is that of the JAX SPR; a flat latent gives 0."""
    flat = latent.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)  # aminmax is 20 times slower on a CPU
    scale = (high - low + 1e-5).view(-1, 1, 1, 1)
    return torch.div(latent - low.view(-1, 1, 1, 1), scale)
