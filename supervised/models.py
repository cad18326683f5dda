"""Classifiers of images: a body that makes features, and a head of linear layers."""

import torch
from torch import Tensor, nn

from networks.activation import Activation, narrowed
from networks.qnetwork import Units
from networks.settings import Head
from supervised.settings import Network
from supervised.vit import Dropout, VisionTransformer

VGG = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels as multiples of the width; a max-pool after each group


class Mlp(nn.Sequential):
    """Hidden layers on all pixels."""

    def __init__(self, pixels: int, network: Network) -> None:
        settings = Head(activation=network.activation)
        layers: list[nn.Module] = [nn.Flatten()]
        behind = pixels
        for _ in range(network.depth):
            linear = nn.Linear(behind, narrowed(network.width, settings))
            layers += [linear, Activation(linear.out_features, settings)]
            behind = layers[-1].width
        super().__init__(*layers)
        self.width = behind

    def units(self, listener: nn.Module) -> list[Units]:
        """The hidden units; `listener` is the linear layer behind the body."""
        layers = [*self, listener]
        return [Units(layers[i], layers[i + 1], [layers[i + 2]]) for i in range(1, len(self), 2)]


class ConvNorm(nn.Sequential):
    """A convolution that is padded to keep the size, and batch normalisation."""

    def __init__(self, channels: int, width: int, size: int = 3, stride: int = 1, bias: bool = False) -> None:
        super().__init__(nn.Conv2d(channels, width, size, stride, size // 2, bias=bias), nn.BatchNorm2d(width))


class Residual(nn.Module):
    """A basic block (He et al. 2016): two convolutions beside a shortcut, which is projected where its shape changes."""

    def __init__(self, channels: int, width: int, stride: int, settings: Head) -> None:
        super().__init__()
        inner = narrowed(width, settings)
        self.first = ConvNorm(channels, inner, stride=stride)
        self.between = Activation(inner, settings)
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
        settings = Head(activation=network.activation)
        self.stem = ConvNorm(channels, network.width, stride=network.stride)
        blocks: list[Residual] = []
        width = network.width
        for stage in range(4):
            for block in range(network.depth):
                out = network.width << stage
                blocks.append(Residual(width, out, 2 if stage > 0 and block == 0 else 1, settings))
                width = out
        self.blocks = nn.Sequential(*blocks)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """float32 [M, channels, h, w] to [M, width]."""
        return self.blocks(torch.relu(self.stem(x))).mean((2, 3))

    def units(self, _listener: nn.Module) -> list[Units]:
        """The units between the two convolutions of each block: others are carried past layers that would have to change."""
        return [Units(block.first, block.between, [block.second[0]]) for block in self.blocks]


class Vgg(nn.Sequential):
    """The 13 convolutions of VGG-16 (Simonyan and Zisserman 2015), each with batch normalisation, and 5 max-pools."""

    def __init__(self, channels: int, side: int, network: Network) -> None:
        settings = Head(activation=network.activation)
        layers: list[nn.Module] = []
        for group in VGG:
            for factor in group:
                conv = ConvNorm(channels, narrowed(network.width * factor, settings), bias=True)
                layers += [conv, Activation(conv[0].out_channels, settings)]
                channels = layers[-1].width
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, nn.Flatten())
        self.width = channels * (side // 32) ** 2

    def units(self, listener: nn.Module) -> list[Units]:
        """The channels of each convolution; `listener` is the linear layer behind the body."""
        convs = [layer for layer in self if isinstance(layer, ConvNorm)]
        activations = [layer for layer in self if isinstance(layer, Activation)]
        listeners = [*[conv[0] for conv in convs[1:]], listener]
        return [Units(*each, [heard]) for *each, heard in zip(convs, activations, listeners, strict=True)]


class Classifier(nn.Module):
    """Its parts, the names that resets speak of: `body` and `head`."""

    def __init__(self, network: Network, channels: int, side: int, classes: int) -> None:
        super().__init__()
        settings = Head(activation=network.activation)
        self.body = _body(network, channels, side)
        layers: list[nn.Module] = []
        width = self.body.width
        for hidden in network.hidden:
            linear = nn.Linear(width, narrowed(hidden, settings))
            layers += [linear, Activation(linear.out_features, settings)]
            width = layers[-1].width
        self.head = nn.Sequential(*layers, nn.Linear(width, classes))

    def features(self, x: Tensor) -> Tensor:
        """Images, float32 [M, channels, side, side], to what the last layer gets, float32 [M, D]."""
        return self.head[:-1](self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """Images, float32 [M, channels, side, side], to logits, float32 [M, classes]."""
        return self.head[-1](self.features(x))

    def units(self) -> list[Units]:
        """The hidden units, layer by layer; of a residual network those off its stream."""
        h = self.head
        found = self.body.units(h[0])
        return found + [Units(h[i], h[i + 1], [h[i + 2]], "head") for i in range(0, len(h) - 1, 2)]

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw every parameter anew: weights and biases uniform in +-1/sqrt(fan_in), as PyTorch does; gains 1, their biases 0.

        A transformer's tokens are normal with deviation 0.02 (Dosovitskiy et al. 2021). The statistics of batch normalisation
        start over.
        """
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    bound = module.weight[0].numel() ** -0.5
                    module.weight.uniform_(-bound, bound, generator=generator)
                    if module.bias is not None:
                        module.bias.uniform_(-bound, bound, generator=generator)
                elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                    module.reset_parameters()
                elif isinstance(module, VisionTransformer):
                    for token in (module.token, module.position):
                        token.normal_(0, 0.02, generator=generator)
                elif next(module.parameters(recurse=False), None) is not None:
                    raise TypeError(f"no rule says how a {type(module).__name__} is drawn anew")

    def draw_from_(self, generator: torch.Generator) -> None:
        """Let dropout, where there is any, draw from `generator`."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator


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
