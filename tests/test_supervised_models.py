"""Parameter counts of the literature, shapes, and a transformer block against its formula."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import Activation
from supervised.models import Classifier
from supervised.settings import Config, Network
from supervised.studies import MODELS
from supervised.vit import Block, Dropout, TokenActivation, VisionTransformer

TINY = {
    "mlp": Network("mlp", width=12, depth=2, hidden=(8,)),
    # Not narrower: without AVX-512, oneDNN in torch 2.13 writes beyond its memory in the backward pass of a strided 1x1
    # convolution of fewer than 8 channels that lie last.
    "resnet18": Network("resnet", width=8, depth=1, hidden=(8,)),
    "vit_tiny": Network("vit", width=64, depth=2, dropout=0.1),
    "vgg16_bn": Network("vgg", width=4, depth=13, hidden=(8, 6)),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def tiny(kind: str, activation: str = "relu", seed: int = 0, classes: int = 10) -> Classifier:
    network = Network(**{**vars(TINY[kind]), "activation": activation})
    model = Classifier(network, 3, 32, classes)
    model.initialise_(torch.Generator().manual_seed(seed))
    return model


def test_parameters_of_the_literature() -> None:
    with torch.device("meta"):
        resnet = Classifier(Network("resnet", width=64, depth=2), 3, 32, 10)
        vgg = Classifier(Network("vgg", width=64, depth=13, hidden=(4096, 4096)), 3, 224, 1000)
        small_vgg = Classifier(Network("vgg", width=64, depth=13), 3, 32, 10)
        vit = VisionTransformer(Network("vit", width=192, depth=12), 3, 224, patch=16)
        mlp = Classifier(Network("mlp", width=512, depth=2), 1, 28, 10)
    assert count(resnet) == 11_173_962  # kuangliu/pytorch-cifar, ResNet18
    assert count(vgg) == 138_365_992  # torchvision, vgg16_bn
    assert count(small_vgg) == 14_728_266  # kuangliu/pytorch-cifar, VGG16
    assert count(vit) + 192 * 1000 + 1000 == 5_717_416  # timm, vit_tiny_patch16_224
    assert count(mlp) == 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10


def test_parameters_of_the_papers_networks() -> None:
    with torch.device("meta"):
        built = {
            "resnet18": Classifier(MODELS["resnet18"].network, 3, 32, 10),
            "vit_tiny": Classifier(MODELS["vit_tiny"].network, 3, 32, 100),
            "vgg16_bn": Classifier(MODELS["vgg16_bn"].network, 3, 64, 200),
        }
    assert count(built["resnet18"]) == 11_173_962 + 512 * 512 + 512
    patches, tokens = 3 * 16 * 192 + 192, 66 * 192
    assert count(built["vit_tiny"]) == 12 * 444_864 + patches + tokens + 2 * 192 + 192 * 100 + 100
    head = 2048 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 200 + 200
    assert count(built["vgg16_bn"]) == 14_723_136 + head
    assert built["vgg16_bn"].head[0].in_features == 2048


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("activation", ["relu", "crelu"])
def test_every_model_has_a_body_a_head_and_units(kind: str, activation: str) -> None:
    model = tiny(kind, activation, classes=7)
    x = torch.randn(5, 3, 32, 32)
    assert model(x).shape == (5, 7)
    assert torch.equal(model.eval()(x), model.head[-1](model.features(x)))
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"body", "head"}
    layers = model.layers()
    activations = [module for module in model.modules() if isinstance(module, Activation)]
    assert {id(layer.activation) for layer in layers} == {id(module) for module in activations}
    for layer in layers:
        first = next(layer.incoming.parameters())
        assert len(first) == layer.activation.units
        assert layer.activation.concatenates == (activation == "crelu")
        for listener in layer.listeners:
            assert listener.weight.shape[1] % layer.activation.width == 0


@pytest.mark.parametrize("kind", TINY)
def test_crelu_keeps_the_size_of_inner_layers(kind: str) -> None:
    with torch.device("meta"):
        usual = Classifier(Network(**{**vars(TINY[kind]), "width": 64}), 3, 32, 10)
        doubled = Classifier(Network(**{**vars(TINY[kind]), "width": 64, "activation": "crelu"}), 3, 32, 10)
    assert 0.7 < count(doubled) / count(usual) < 1.3


@pytest.mark.parametrize("kind", TINY)
def test_initial_weights(kind: str) -> None:
    first, again, other = tiny(kind), tiny(kind), tiny(kind, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    for module in first.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            fan_in = module.weight[0].numel()
            assert module.weight.abs().max() <= fan_in**-0.5
            if module.weight.numel() > 200:
                assert float(module.weight.detach().std()) == pytest.approx((3 * fan_in) ** -0.5, rel=0.15)
    for module in first.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(3.0)
    first.initialise_(torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_resnet_halves_three_times_and_has_no_pool() -> None:
    body = tiny("resnet18").body
    x = torch.randn(2, 3, 32, 32)
    sizes = []
    for block in [body.stem, *body.blocks]:
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(8, 32, 32), (8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)]


def test_a_resnet_adds_what_it_learnt_to_what_there_was() -> None:
    model = tiny("resnet18").eval()
    body, x = model.body, torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.bias.normal_(0, 0.1)

        def norm_conv(layers: nn.Module, x: Tensor, stride: int = 1) -> Tensor:
            conv, norm = layers
            x = functional.conv2d(x, conv.weight, conv.bias, stride, conv.kernel_size[0] // 2)
            shape = (1, -1, 1, 1)
            x = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + 1e-5).sqrt()
            return x * norm.weight.view(shape) + norm.bias.view(shape)

        y = norm_conv(body.stem, x).clamp(min=0)
        for i, block in enumerate(body.blocks):
            stride = 1 if i == 0 else 2
            beside = y if i == 0 else norm_conv(block.shortcut, y, stride)
            y = (norm_conv(block.second, norm_conv(block.first, y, stride).clamp(min=0)) + beside).clamp(min=0)
        torch.testing.assert_close(model.features(x), (model.head[0](y.mean((2, 3)))).clamp(min=0), rtol=1e-4, atol=1e-5)


def test_a_transformer_reads_patches_in_order() -> None:
    body = tiny("vit_tiny").body.eval()
    x = torch.randn(2, 3, 32, 32)
    patches = functional.unfold(x, 4, stride=4).transpose(1, 2) @ body.patches.weight.flatten(1).T + body.patches.bias
    tokens = torch.cat((body.token.expand(2, 1, 64), patches), 1) + body.position
    for block in body.blocks:
        tokens = block(tokens)
    torch.testing.assert_close(body(x), body.norm(tokens)[:, 0], rtol=1e-4, atol=1e-5)
    assert body.position.detach().std() > 0.01
    other = x.clone()
    other[:, :, :4], other[:, :, 4:8] = x[:, :, 4:8], x[:, :, :4]
    assert not torch.allclose(body(x), body(other))  # where a patch lies matters


def test_a_block_is_attention_and_an_mlp() -> None:
    torch.manual_seed(0)
    block = Block(Network("vit", 128)).double().eval()
    x = torch.randn(2, 5, 128, dtype=torch.float64)

    def normalised(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()

    queries, keys, values = block.queries_keys_values(normalised(x)).split(128, -1)
    heads = []
    for h in (slice(0, 64), slice(64, 128)):
        weights = (queries[..., h] @ keys[..., h].transpose(1, 2) / 8).softmax(-1)
        heads.append(weights @ values[..., h])
    y = x + block.projection(torch.cat(heads, -1))
    hidden = block.first(normalised(y))
    y = y + block.second(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))
    torch.testing.assert_close(block(x), y)


def test_crelu_of_tokens_stands_in_the_last_dimension() -> None:

    x = torch.randn(2, 3, 4)
    out = TokenActivation(4, "crelu")(x)
    torch.testing.assert_close(out, torch.cat((x.clamp(min=0), (-x).clamp(min=0)), -1))


def test_dropout_draws_from_its_own_generator() -> None:
    dropout = Dropout(0.25)
    dropout.generator = torch.Generator().manual_seed(0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    x = torch.ones(40_000)
    out = dropout(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    dropout.generator.manual_seed(0)
    assert torch.equal(dropout(x), out)
    assert torch.equal(dropout.eval()(x), x)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Network("vit", width=100), "must divide by 64"),
        (Network("vgg", width=64, depth=2), "must be 13"),
        (Network("mlp", dropout=0.1), "means nothing with mlp"),
        (Network("mlp", hidden=(0,)), "--network.hidden"),
    ],
)
def test_networks_that_cannot_be_are_refused(network: Network, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config(network=network)
