"""Rules of the upkeep that a course of updates would hardly show: what is forgotten, what is drawn anew, what is measured."""

import pytest
import torch
from torch import nn

from agents.agent import Agent
from hare_tortoise import HareTortoise, renewal
from hare_tortoise.measure import effective_ranks, of_loss
from hare_tortoise.network import initialise_modules_
from hare_tortoise.settings import Replacement, Resets, Silence, Tortoise
from hare_tortoise.silence import Silences
from supervised.learner import Learner
from supervised.measures import measure
from supervised.settings import Config, Network
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_plans import learnt


@pytest.mark.parametrize("piece", [{"silence": Silence(longest=50)}, {"replacement": Replacement(0.0, 50)}])
@pytest.mark.parametrize(("source", "age"), [("fresh", 0), ("tortoise", 4)])
def test_ages_of_units_begin_anew_with_new_weights_and_not_with_the_tortoises(piece: dict, source: str, age: int) -> None:
    """Of a network that is a little older or younger the units are the same."""
    config = small("der", tortoise=Tortoise(0.5), resets=Resets(source, every=4), **piece)  # type: ignore[arg-type]
    judge = learnt(config, 4).upkeep._renewal._judge
    assert int(judge.age.max()) == age
    assert int(learnt(config, 3).upkeep._renewal._judge.age.max()) == 3


def test_weights_of_renewed_units_are_of_one_draw_for_a_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "REDRAWN", 3)
    config = small("der", replacement=Replacement(0.0, 50))
    weights = [next(learnt(config, updates).upkeep._renewal._spare.parameters()) for updates in (1, 2, 3)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_ranks_of_a_classifier_are_of_what_its_last_layer_gets() -> None:
    learner = Learner(Config(network=Network("resnet", width=8, depth=1, hidden=(4,))), (1, 28, 10), "cpu", 0)
    x = torch.rand(32, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(32) % 10
    with torch.no_grad():
        srank, entropy = effective_ranks(learner.hare.eval().features(x))
    found = measure(learner, x, labels, 0)
    assert found["srank"] == pytest.approx(float(srank))
    assert found["entropy_rank"] == pytest.approx(float(entropy), rel=1e-4)
    assert found["srank"] <= 4


def test_a_renewed_tortoise_in_half_precision_stays_renewed() -> None:
    """It is the rounded value of an average, which must be renewed with it."""
    hare = nn.Linear(3, 2).half()
    pair = HareTortoise(hare, decay=0.999)
    fresh = nn.Linear(3, 2).half()
    pair.renew_tortoise(fresh, 0.0)
    pair.follow()
    assert torch.allclose(pair.tortoise.weight, fresh.weight, atol=2e-3)


def test_a_parameter_that_the_loss_does_not_use_has_no_gradient() -> None:
    used, unused = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    net, x = nn.ModuleList([used, unused]), torch.tensor([[1.0, 2.0]])
    found = of_loss(lambda: used(x).square().mean(), net, 3)
    assert found["gradient_norm/1.weight"] == 0
    assert found["zero_gradients"] == 0.5
    assert float(found["hessian"]) == pytest.approx(10.0, rel=1e-4)  # 2 x x^T


@pytest.mark.parametrize("curved", [True, False])
def test_a_parameter_that_the_loss_is_linear_in_adds_nothing_to_the_hessian(curved: bool) -> None:
    first, linear = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    net, x = nn.ModuleList([first, linear]), torch.tensor([[1.0, 2.0]])
    found = of_loss(lambda: linear(x).mean() + (first(x).square() if curved else first(x)).mean(), net, 3)
    assert found["gradient_norm/1.weight"] == pytest.approx(5**0.5)
    assert float(found["hessian"]) == pytest.approx(10.0 * curved, rel=1e-4)


INSTANCE = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.BatchNorm3d(3), nn.RMSNorm(3), INSTANCE])
def test_gains_of_every_normalisation_begin_at_1(norm: nn.Module) -> None:
    with torch.no_grad():
        for tensor in norm.state_dict().values():
            tensor.fill_(7)
    initialise_modules_(nn.Sequential(norm), torch.Generator())
    begins = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
    assert all(torch.equal(value, torch.full_like(value, begins[name])) for name, value in norm.state_dict().items())


def test_what_is_usual_is_looked_at_every_so_many_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(Silences, "look_", lambda self: looks.append(agent.updates))
    agent = Agent(small("der", silence=Silence(every=4)), ACTIONS, device="cpu", seed=0)
    replay = fake_replay(agent.config)
    for _ in range(9):
        agent.update(replay)
    assert looks == [4, 8]
