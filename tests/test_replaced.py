"""A hare whose tensors are exchanged after the pair was made is followed, or refused in a line."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from hare_tortoise import HareTortoise


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3))


def apart(pair: HareTortoise) -> float:
    return max(
        float((a - b).detach().abs().max()) for a, b in zip(pair.tortoise.parameters(), pair.hare.parameters(), strict=True)
    )


@pytest.mark.parametrize("how", ["assigned", "head", "parameter", "buffer"])
def test_tensors_that_are_exchanged_are_followed_and_set_back(how: str) -> None:
    hare = network()
    pair = HareTortoise(hare, decay=0.5, reset_every=40)
    if how == "assigned":
        hare.load_state_dict({k: v + 1 for k, v in hare.state_dict().items()}, assign=True)
    elif how == "head":
        hare[3] = nn.Linear(8, 3)
    elif how == "parameter":
        hare[0].weight = nn.Parameter(hare[0].weight.detach() + 1)
    else:
        hare[2].running_mean = torch.ones(8)
    for _ in range(39):
        pair.step()
    assert apart(pair) < 1e-6
    assert torch.allclose(pair.tortoise[2].running_mean, hare[2].running_mean)
    kept = [p.detach().clone() for p in hare.parameters()]
    pair.step()
    assert pair.resets == 1
    assert all(torch.allclose(a, b) for a, b in zip(kept, hare.parameters(), strict=True))


@pytest.mark.parametrize("how", ["size", "precision", "device", "more", "parametrized", "buffer"])
@pytest.mark.parametrize("call", ["follow", "set_back"])
def test_another_network_is_refused(how: str, call: str) -> None:
    hare = network()
    pair = HareTortoise(hare, decay=0.5)
    if how == "size":
        hare[3] = nn.Linear(8, 5)
    elif how == "precision":
        hare.load_state_dict({name: value.double() for name, value in hare.state_dict().items()}, assign=True)
    elif how == "device":
        hare[3] = nn.Linear(8, 3, device="meta")
    elif how == "more":
        hare.append(nn.Linear(3, 3))
    elif how == "parametrized":
        parametrizations.orthogonal(hare[3])
    else:
        hare[3].register_buffer("seen", torch.zeros(1))
    with pytest.raises(ValueError, match="the hare is another network than when the pair was made"):
        getattr(pair, call)()


@pytest.mark.parametrize(("made", "later"), [(torch.float32, torch.float16), (torch.float16, torch.float32)])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_hare_that_becomes_of_another_precision_where_it_is_is_refused(
    made: torch.dtype, later: torch.dtype, decay: float
) -> None:
    hare = nn.Linear(4, 8).to(made)  # no buffers: these would be exchanged
    pair = HareTortoise(hare, decay=decay)
    pair.step()
    hare.to(later)
    change = rf"bias was \[8\] {made} cpu and is \[8\] {later} cpu"
    with pytest.raises(ValueError, match=rf"^the hare is another network .* \({change}\): make a new one$"):
        pair.step()
    hare.to(made)
    pair.step()


class Wrapper(torch.optim.SGD):
    """As the code of sharpness-aware minimisation that goes round."""

    def __init__(self, params: object, base: type, **settings: float) -> None:
        super().__init__(params, **settings)  # type: ignore[arg-type]


class Remembering(torch.optim.Adam):
    """Adam that may remember more than Adam does."""

    def __init__(self, params: object, radius: float) -> None:
        super().__init__(params)  # type: ignore[arg-type]
        self.radius = radius


def test_what_could_not_be_reset_is_refused_when_the_pair_is_made() -> None:
    hare = network()
    for made in (Wrapper(hare.parameters(), torch.optim.SGD, lr=0.1), Remembering(hare.parameters(), 0.05)):
        with pytest.raises(ValueError, match=f"what a new {type(made).__name__} begins with is not known: moments 'keep', or"):
            HareTortoise(hare, made, moments="zero")
        HareTortoise(hare, made)
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.NAdam):
        HareTortoise(hare, kind(hare.parameters(), lr=0.1), moments="zero")


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_copied_is_refused() -> None:
    for lazy in (nn.LazyLinear(3), nn.LazyBatchNorm1d(affine=False)):
        with pytest.raises(ValueError, match="is lazy: let it see a batch first"):
            HareTortoise(nn.Sequential(nn.Linear(4, 3), lazy))
    for computed in (weight_norm, spectral_norm):
        hare = nn.Sequential(computed(nn.Linear(4, 3)))
        hare(torch.ones(1, 4))
        with pytest.raises(ValueError, match=r"cannot be copied: take weight_norm or spectral_norm of nn\.utils\.param"):
            HareTortoise(hare)
