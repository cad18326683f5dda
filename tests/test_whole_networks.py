"""What a network must be so that drawing it anew, averaging and resetting it reach all of it."""

import pytest
import torch
from torch import nn

from agents.catalogue import AGENTS, find_agent
from hare_tortoise.network import check, parts, state
from networks.qnetwork import QNetwork
from supervised.models import Classifier
from tests.fake_replay import small
from tests.test_supervised_models import TINY


def der() -> QNetwork:
    config = find_agent("der")
    return QNetwork(config.encoder, config.head, None, 3)


@pytest.mark.parametrize("name", ["der", "der_dopamine_ln", "drq_crelu", "spr", "spr_inject", "bbf_crelu", "bbf_ln"])
def test_every_agents_network_is_whole(name: str) -> None:
    c = small(name)
    network = QNetwork(c.encoder, c.head, c.prediction, 3, injectable=c.injection is not None)
    check(network)
    assert sum(map(len, parts(network).values())) == len(state(network)) == len(list(network.parameters()))
    assert name in AGENTS


@pytest.mark.parametrize("kind", TINY)
def test_every_classifier_is_whole(kind: str) -> None:
    network = Classifier(TINY[kind], 3, 32, 10)
    check(network)
    assert {name for name, tensor in state(network).items()} == set(network.state_dict())


def test_a_module_that_no_rule_draws_anew_is_refused() -> None:
    network = der()
    network.encoder.append(nn.PReLU())
    with pytest.raises(TypeError, match=r"how a PReLU is drawn anew: give it a method initialise_\(generator\)"):
        check(network)


class Forgetful(nn.Linear):
    """Draws its weight anew and not its bias."""

    def initialise_(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=generator)


def test_a_parameter_that_its_module_does_not_draw_is_refused() -> None:
    network = der()
    network.encoder.append(Forgetful(3, 3))
    with pytest.raises(ValueError, match=r"encoder\.4\.bias is not drawn anew"):
        check(network)


def test_a_parameter_of_no_part_is_refused() -> None:
    network = der()
    network.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(ValueError, match="scale is of no part of the network"):
        check(network)


def test_a_layer_that_nobody_reads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = der()
    lonely = network.layers()[0]._replace(listeners=[])
    monkeypatch.setattr(network, "layers", lambda: [lonely])
    with pytest.raises(ValueError, match="a layer of body has 0 listeners"):
        check(network)


def test_statistics_are_averaged_and_reset_with_the_weights() -> None:
    network = der()
    network.encoder.append(nn.BatchNorm2d(64))
    names = {name for name in state(network) if name.startswith("encoder.4")}
    assert names == {f"encoder.4.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}
    assert len(parts(network)["body"]) == 4 + len(names)
