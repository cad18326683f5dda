"""Bounds, norms and masks of weights against values by hand, and whatever changes weights leaves them obeyed."""

from dataclasses import replace
from math import prod

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.constraints import Obedience, densities
from hare_tortoise.network import Network
from hare_tortoise.settings import Constraints, Plans, Pruning, Recycling, Replacement, Resets, Silence, Tortoise
from hare_tortoise.upkeep import Upkeep
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head
from supervised.models import Classifier
from tests.every import crossed
from tests.test_recycle import ENCODERS, HEADS, X, layers_of, network, optimizer_of
from tests.test_supervised_models import TINY, tiny

NOISE = torch.Generator().manual_seed(0)


def disturb_(net: nn.Module, size: float, seed: int = 0) -> None:
    """Change every parameter, as learning would."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p += size * torch.randn(p.shape, generator=g)


def values(net: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def matrices(net: nn.Module) -> dict[str, Tensor]:
    """The weights of layers, without their noise."""
    return {n: p.detach() for n, p in net.named_parameters() if n.endswith(".weight") and p.ndim > 1}


@pytest.mark.parametrize("rule", ["uniform", "xavier"])
@pytest.mark.parametrize("head", ["streams", "last"])
def test_bounds_are_multiples_of_the_largest_weights_at_the_start(head: str, rule: str) -> None:
    net = QNetwork(replace(ENCODERS["data_efficient"], layer_norm=True), HEADS[head], None, 3)
    net.initialise_(torch.Generator().manual_seed(0), rule)
    start, bound = values(net), 2.5
    assert rule == "uniform" or not start["encoder.0.bias"].any()
    obedience = Obedience(net, Constraints(bound=bound), None)
    disturb_(net, 1.0)
    wild = values(net)
    obedience.impose_(net)
    for name, found in values(net).items():
        module, kind = name.rsplit(".", 1)
        if ".norm." in name:  # of a normalisation
            assert torch.equal(found, wild[name])
            continue
        largest = start[f"{module}.weight" if kind == "bias" else name].abs().max()
        torch.testing.assert_close(found, wild[name].clamp(-bound * largest, bound * largest))
        assert found.abs().max() == pytest.approx(bound * largest.item())  # some were beyond
    before = values(net)
    obedience.impose_(net)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_of_a_classifier_all_linear_layers_and_convolutions_are_bounded() -> None:
    for kind in TINY:
        net = tiny(kind)
        obedience = Obedience(net, Constraints(bound=1.0), None)
        start = values(net)
        disturb_(net, 1.0)
        wild = values(net)
        obedience.impose_(net)
        bounded = {name for name, p in net.named_parameters() if not torch.equal(p, wild[name])}
        layers = {n for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
        assert {name.rsplit(".", 1)[0] for name in bounded} == layers
        for name in matrices(net):
            assert net.get_parameter(name).abs().max() == start[name].abs().max() or name not in bounded


def exact(net: Network) -> Network:
    """Newly drawn, and without what normalisations add to a variance, which is all that would notice a scale."""
    net.initialise_(torch.Generator().manual_seed(0))
    for module in net.modules():
        if isinstance(module, nn.GroupNorm | nn.LayerNorm | nn.BatchNorm2d):
            module.eps = 1e-12
    return net


@pytest.mark.parametrize(("kind", "head"), [("data_efficient", "streams"), ("impala", "noisy last"), ("crelu", "crelu")])
def test_hidden_layers_keep_their_norms_and_a_normalisation_behind_notices_nothing(kind: str, head: str) -> None:
    encoder, head_settings = replace(ENCODERS[kind], layer_norm=True), replace(HEADS[head], layer_norm=True)
    net = exact(QNetwork(encoder, head_settings, None, 3))
    start, hidden = values(net), {f"{layer.made_by}.weight" for layer in layers_of(net, ENCODERS[kind].kind)}
    obedience = Obedience(net, Constraints(norms=True), None)
    disturb_(net, 0.1)
    wild = values(net)
    noises = [None, net.draw_noise(NOISE)]
    with torch.no_grad():
        before = [net.logits(net.encode(X), net.noisy(noise)) for noise in noises]
        obedience.impose_(net)
        after = [net.logits(net.encode(X), net.noisy(noise)) for noise in noises]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)
    for name, p in net.named_parameters():
        module = name.rsplit(".", 1)[0]
        if f"{module}.weight" not in hidden:
            assert torch.equal(p, wild[name]), name
        else:
            factor = start[f"{module}.weight"].norm() / wild[f"{module}.weight"].norm()
            assert factor < 0.9
            torch.testing.assert_close(p.detach(), wild[name] * factor)
    for name in hidden:
        assert net.get_parameter(name).norm().item() == pytest.approx(start[name].norm().item(), rel=1e-6)


@pytest.mark.parametrize("kind", list(TINY))
def test_a_classifier_does_not_notice_its_projection(kind: str) -> None:
    made = exact(Classifier(replace(TINY[kind], layer_norm=True, dropout=0.0), 3, 32, 10))
    obedience = Obedience(made, Constraints(norms=True), None)
    disturb_(made, 0.1)
    with torch.no_grad():
        before = made(X[:, :3, :32, :32])
        obedience.impose_(made)
        torch.testing.assert_close(made(X[:, :3, :32, :32]), before, rtol=1e-3, atol=2e-5)


def test_erdos_renyi_kernel_densities() -> None:
    """Evci et al. 2020: in proportion to (inputs + outputs + height + width) / (their product)."""
    shapes = [(64, 32, 5, 5), (256, 576), (100, 256)]
    wanted = 0.05 * sum(map(prod, shapes))
    found = densities(shapes, 0.05)
    unit = wanted / (64 + 32 + 5 + 5 + 256 + 576 + 100 + 256)
    assert found == pytest.approx([106 * unit / 51_200, 832 * unit / 147_456, 356 * unit / 25_600])
    assert max(found) < 1


@pytest.mark.parametrize("density", [0.01, 0.2, 0.5, 0.8, 0.999, 1.0])
def test_densities_add_up_even_where_small_layers_are_kept_whole(density: float) -> None:
    shapes = [(3, 4), (10, 8, 3, 3), (300, 200), (2, 300)]
    found = densities(shapes, density)
    assert sum(d * prod(s) for d, s in zip(found, shapes, strict=True)) == pytest.approx(density * sum(map(prod, shapes)))
    assert all(0 < d <= 1 for d in found)
    rates = [d * prod(s) / sum(s) for d, s in zip(found, shapes, strict=True) if d < 1]
    assert all(rate == pytest.approx(rates[0]) for rate in rates)
    assert density not in (0.2, 0.5) or found[0] == 1.0 > found[2]


@pytest.mark.parametrize("kind", ["agent", *TINY])
def test_the_smallest_weights_go_more_and_more_of_them(kind: str) -> None:
    net = network(ENCODERS["data_efficient"], HEADS["streams"]) if kind == "agent" else tiny(kind)
    pruning = Pruning(sparsity=0.9, start=0.1, end=0.6, every=10)
    obedience = Obedience(net, Constraints(), pruning)
    choices = [update for update in range(1, 101) if pruning.due(update, 100)]
    assert choices == [20, 30, 40, 50, 60]
    total, last = sum(w.numel() for w in matrices(net).values()), None
    for update in choices:
        wild = {name: w.clone() for name, w in matrices(net).items()}
        share = 0.9 * (1 - (1 - (update - 10) / 50) ** 3)
        obedience.prune_(net, pruning.share(update, 100))
        kept = {name: w != 0 for name, w in matrices(net).items()}
        zeros = sum(int((~mask).sum()) for mask in kept.values())
        assert zeros == pytest.approx(share * total, abs=len(kept))  # of each layer a whole number
        for name, mask in kept.items():
            assert torch.equal(net.get_parameter(name)[mask], wild[name][mask])
            dropped = wild[name][~mask].abs()
            assert mask.all() or not mask.any() or dropped.max() <= wild[name][mask].abs().min()
            assert last is None or not (mask & ~last[name]).any()  # what is gone stays away
        last = kept
        for seed in range(3):
            disturb_(net, 0.01, seed)
            obedience.impose_(net)
            assert all(torch.equal(w != 0, kept[name]) for name, w in matrices(net).items())
            noises = {n: p for n, p in net.named_parameters() if n.endswith("weight_sigma")}
            assert all(not p[~kept[n.removesuffix("_sigma")]].any() for n, p in noises.items())
    assert share == pytest.approx(0.9)


def test_of_equal_weights_the_first_are_kept() -> None:
    net = tiny("mlp")
    with torch.no_grad():
        for w in matrices(net).values():
            w.fill_(1.0)
    obedience = Obedience(net, Constraints(), Pruning())
    obedience.prune_(net, 0.5)
    for w in matrices(net).values():
        flat = (w != 0).flatten().long()
        assert torch.equal(flat, flat.sort(descending=True).values)


RESETS = {
    source: Resets(source, every=4, keep_body=keep, tortoise_too=source != "tortoise")
    for source, keep in (("fresh", 0.5), ("initial", 0.0), ("tortoise", 0.0), ("orthogonal", 0.0))
}
CHANGES = {
    "nothing": Plans(),
    **{source: Plans(resets=resets) for source, resets in RESETS.items()},
    "recycling": Plans(recycling=Recycling(every=3, tau=0.9)),
    "silence": Plans(silence=Silence(longest=3)),
    "replacement": Plans(replacement=Replacement(0.2, 2)),
}
RULES = {
    "bound": {"constraints": Constraints(bound=1.5)},
    "norms": {"constraints": Constraints(norms=True)},
    "masks": {"pruning": Pruning(0.8, 0.1, 0.5, every=2), "updates": 12},
}


def assert_obeys(net: Network, initial: Network, rule: str, kept: dict[str, Tensor]) -> None:
    for name, start in matrices(initial).items():
        now = net.get_parameter(name).detach()
        if rule == "bound":
            assert now.abs().max() <= 1.5 * start.abs().max() + 1e-6
        elif rule == "masks":
            assert not now[~kept[name]].any()
    if rule == "norms":
        for name in (f"{layer.made_by}.weight" for layer in layers_of(net, "data_efficient")):
            assert net.get_parameter(name).norm().item() == pytest.approx(initial.get_parameter(name).norm().item(), rel=1e-5)


@pytest.mark.parametrize(("rule", "change", "decay"), crossed(2, RULES, CHANGES, [0.0, 0.9]))
def test_hare_and_tortoise_obey_whatever_is_planned(rule: str, change: str, decay: float) -> None:
    encoder, head = Encoder("data_efficient"), Head(hidden=8)
    net, draws = network(encoder, head), iter(range(1, 100))
    plans = replace(CHANGES[change], tortoise=Tortoise(decay, every=1 if decay else 3), **RULES[rule])
    upkeep = Upkeep(net, optimizer_of(net), lambda: network(encoder, head, seed=next(draws)), plans)
    tortoise, first, moved = upkeep.pair.tortoise, values(upkeep.pair.tortoise), False
    for update in range(1, 13):
        disturb_(net, 0.05, update)
        upkeep.at_update(X)
        masks = [mask.bool() for mask in upkeep.state_dict()["masks"]]
        kept = dict(zip(matrices(net), masks, strict=False))
        assert_obeys(net, upkeep.initial, rule, kept)
        upkeep.after_update(update, X)
        moved |= not all(torch.equal(p, first[name]) for name, p in tortoise.named_parameters())
        masks = [mask.bool() for mask in upkeep.state_dict()["masks"]]
        for one in (net, tortoise):
            assert_obeys(one, upkeep.initial, rule, dict(zip(matrices(net), masks, strict=False)))
    assert rule != "masks" or sum(int((~mask).sum()) for mask in masks) > 0.75 * sum(mask.numel() for mask in masks)
    assert plans.resets is None or upkeep.pair.resets >= 2
    assert moved
    assert change not in ("recycling", "silence", "replacement") or upkeep.recycled > 0
    assert all(torch.equal(p, first[name]) for name, p in upkeep.initial.named_parameters())
