"""Classifiers of images: a body that makes features, and a head of linear layers."""

import torch
from torch import Tensor, nn

from hare_tortoise.activation import Activation, narrowed
from hare_tortoise.network import Layer
from hare_tortoise.network import Network as Plastic
from hare_tortoise.settings import Kind
from hare_tortoise.spectral import linear
from supervised.settings import Network
from supervised.vit import Dropout, VisionTransformer

VGG = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels as multiples of the width; a max-pool after each group


def hidden_layer(fan_in: int, nominal: int, network: Network) -> list[nn.Module]:
    """A linear layer of `nominal` width and its activation, as `network` says."""
    units = narrowed(nominal, network.activation)
    return [
        linear(fan_in, units, network.spectral_norm),
        Activation(units, network.activation, layer_norm=network.layer_norm),
    ]


class Mlp(nn.Sequential):
    """Hidden layers on all pixels."""

    def __init__(self, pixels: int, network: Network) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        behind = pixels
        for _ in range(network.depth):
            layers += hidden_layer(behind, network.width, network)
            behind = layers[-1].width
        super().__init__(*layers)
        self.width = behind

    def layers(self, listener: nn.Module) -> list[Layer]:
        """The hidden layers; `listener` is the linear layer behind the body."""
        return hidden_layers([*self][1:], listener, "body")


class ConvNorm(nn.Sequential):
    """A convolution that is padded to keep the size, and batch normalisation."""

    def __init__(self, channels: int, width: int, size: int = 3, stride: int = 1, bias: bool = False) -> None:
        super().__init__(nn.Conv2d(channels, width, size, stride, size // 2, bias=bias), nn.BatchNorm2d(width))


class Residual(nn.Module):
    """A basic block (He et al. 2016): two convolutions beside a shortcut, which is projected where its shape changes."""

    def __init__(self, channels: int, width: int, stride: int, kind: Kind) -> None:
        super().__init__()
        inner = narrowed(width, kind)
        self.first = ConvNorm(channels, inner, stride=stride)
        self.between = Activation(inner, kind)
        self.second = ConvNorm(self.between.width, width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else ConvNorm(channels, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [M, channels, h, w] to [M, width, h / stride, w / stride]."""
        return torch.relu(self.second(self.between(self.first(x))) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet for small images: a 3x3 stem, of stride 1 in ResNet-18, without a pool, four stages, the mean over pixels."""

    def __init__(self, channels: int, network: Network) -> None:
        super().__init__()
        self.stem = ConvNorm(channels, network.width, stride=network.stride)
        blocks: list[Residual] = []
        width = network.width
        for stage in range(4):
            for block in range(network.depth):
                out = network.width << stage
                blocks.append(Residual(width, out, 2 if stage > 0 and block == 0 else 1, network.activation))
                width = out
        self.blocks = nn.Sequential(*blocks)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """float32 [M, channels, h, w] to [M, width]."""
        return self.blocks(torch.relu(self.stem(x))).mean((2, 3))

    def layers(self, _listener: nn.Module) -> list[Layer]:
        """What stands between the two convolutions of each block: others are carried past layers that would have to change."""
        return [block.between.layer(block.first, [block.second[0]]) for block in self.blocks]


class Vgg(nn.Sequential):
    """The 13 convolutions of VGG-16 (Simonyan and Zisserman 2015), each with batch normalisation, and 5 max-pools."""

    def __init__(self, channels: int, side: int, network: Network) -> None:
        layers: list[nn.Module] = []
        for group in VGG:
            for factor in group:
                conv = ConvNorm(channels, narrowed(network.width * factor, network.activation), bias=True)
                layers += [conv, Activation(conv[0].out_channels, network.activation)]
                channels = layers[-1].width
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, nn.Flatten())
        self.width = channels * (side // 32) ** 2

    def layers(self, listener: nn.Module) -> list[Layer]:
        """The convolutions; `listener` is the linear layer behind the body."""
        convs = [layer for layer in self if isinstance(layer, ConvNorm)]
        activations = [layer for layer in self if isinstance(layer, Activation)]
        listeners = [*[conv[0] for conv in convs[1:]], listener]
        return [a.layer(c, [heard]) for c, a, heard in zip(convs, activations, listeners, strict=True)]


class Classifier(Plastic):
    """Images to logits. Its parts, the names that resets speak of: `body`, `neck` (hidden layers behind it), `head`."""

    def __init__(self, network: Network, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.body = _body(network, channels, side)
        layers: list[nn.Module] = []
        width = self.body.width
        for hidden in network.hidden:
            layers += hidden_layer(width, hidden, network)
            width = layers[-1].width
        self.head = nn.Sequential(*layers, nn.Linear(width, classes))

    def features(self, x: Tensor) -> Tensor:
        """Images, float32 [M, channels, side, side], to what the last layer gets, float32 [M, D]."""
        return self.head[:-1](self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """Images, float32 [M, channels, side, side], to logits, float32 [M, classes]."""
        return self.head[-1](self.features(x))

    def part_of(self, name: str) -> str:
        """The part that the parameter or buffer `name` is of."""
        module, place = name.split(".")[:2]
        if module == "body":
            return "body"
        return "head" if int(place) == len(self.head) - 1 else "neck"

    def layers(self) -> list[Layer]:
        """The hidden layers; of a residual network those off its stream."""
        *hidden, last = self.head
        return self.body.layers(self.head[0]) + hidden_layers(hidden, last, "neck")

    def draw_from_(self, generator: torch.Generator) -> None:
        """Let dropout, where there is any, draw from `generator`."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator


def hidden_layers(modules: list[nn.Module], listener: nn.Module, part: str) -> list[Layer]:
    """Those of `modules`, linear layers with an activation behind each; `listener` reads the last."""
    linears, activations = modules[::2], modules[1::2]
    listeners = [*linears[1:], listener]
    return [a.layer(x, [heard], part) for x, a, heard in zip(linears, activations, listeners, strict=False)]


def _body(network: Network, channels: int, side: int) -> Mlp | ResNet | Vgg | VisionTransformer:
    match network.kind:
        case "mlp":
            return Mlp(channels * side * side, network)
        case "resnet":
            return ResNet(channels, network)
        case "vgg":
            return Vgg(channels, side, network)
        case "vit":
            return VisionTransformer(network, channels, side)
