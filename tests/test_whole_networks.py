"""What a network must be so that drawing it anew, averaging and resetting it reach all of it."""

import pytest
import torch

from agents.catalogue import find_agent
from networks.qnetwork import QNetwork


def test_a_module_that_no_rule_draws_anew_is_refused() -> None:
    config = find_agent("der")
    network = QNetwork(config.encoder, config.head, None, 3)
    network.encoder.append(torch.nn.PReLU())
    with pytest.raises(TypeError, match="no rule says how a PReLU is drawn anew"):
        network.initialise_(torch.Generator())


def test_a_parameter_of_no_part_is_refused() -> None:
    config = find_agent("der")
    network = QNetwork(config.encoder, config.head, None, 3)
    network.scale = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(ValueError, match="scale is of no part of the network"):
        network.initialise_(torch.Generator())


def test_statistics_that_nothing_would_average_are_refused() -> None:
    config = find_agent("der")
    network = QNetwork(config.encoder, config.head, None, 3)
    network.encoder.append(torch.nn.BatchNorm2d(64))
    with pytest.raises(ValueError, match=r"encoder\.4\.running_mean is a buffer, which the tortoise would not follow"):
        network.initialise_(torch.Generator())
