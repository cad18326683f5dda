"""What is measured of a classifier: accuracy, and how much it can still learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from networks.plasticity import distance, dormancy, effective_ranks, recorded, share, top_eigenvalue
from supervised.data import Data
from supervised.models import Classifier

if TYPE_CHECKING:
    from supervised.learner import Learner

SIZE = 512  # images in a measurement; no rank of theirs can be larger
TAU = 0.025  # threshold of dormancy (Sokar et al. 2023)
CHUNK = 1_000  # images in a pass of an evaluation


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Within, `network` neither drops out nor changes its statistics."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


@torch.no_grad()
def accuracy(network: Classifier, data: Data, images: Tensor, labels: Tensor) -> float:
    """Share of `images`, uint8 [N, C, H, W], for which the largest logit is that of `labels`, int64 [N]. Waits once."""
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with evaluating(network):
        for start in range(0, len(labels), CHUNK):
            said = network(data.prepare(images[start : start + CHUNK])).argmax(1)
            right += (said == labels[start : start + CHUNK]).sum()
    return int(right) / len(labels)


def accuracies(name: str, network: Classifier, data: Data, images: Tensor, labels: Tensor) -> dict[str, float]:
    """`accuracy` of the `network` called `name` on the test images of `data`, and on `images` with `labels` of its training."""
    tested = accuracy(network, data, data.test_images, data.test_labels)
    return {f"test_{name}": tested, f"train_{name}": accuracy(network, data, images, labels)}


@torch.no_grad()
def dormant_units(network: Classifier, x: Tensor, tau: float) -> list[Tensor]:
    """Of each hidden layer, in the order of `network.units()`, which units are dormant on `x`; bool [units] each."""
    return [score <= tau for score in _scores(network, _activations(network, x))]


def _activations(network: Classifier, x: Tensor) -> list[Tensor]:
    """What the activations of `network.units()` return for images `x`, units in dimension 1."""
    layers = network.units()
    with evaluating(network), recorded([layer.activation for layer in layers]) as found:
        network(x)
    return [a.flatten(0, 1) if a.ndim == 3 else a for a in found]  # a transformer's tokens count as samples


def _scores(network: Classifier, activations: list[Tensor]) -> list[Tensor]:
    layers = network.units()
    return [dormancy(a, layer.activation.concatenates) for a, layer in zip(activations, layers, strict=True)]


def measure(learner: "Learner", x: Tensor, labels: Tensor, hessian_rounds: int = 0, seed: int = 0) -> dict[str, float]:
    """Measurements of the hare on images `x`, float32 [M, C, H, W], with `labels`, int64 [M]. Changes nothing; waits once.

    dormant: share of hidden units with a dormancy score of at most 0.025; zero_activations: share of hidden activations that
    are 0; srank, entropy_rank: effective ranks of what the last layer gets; weight_norm; initial_distance, from the weights at
    the start; tortoise_distance; zero_gradients: share of the parameters whose gradient is 0; gradient_norm; with
    `hessian_rounds` hessian, the eigenvalue of the largest size of the loss's Hessian. Without dropout, and with the running
    statistics of batch normalisation.
    """
    hare = learner.hare
    parameters = list(hare.parameters())
    with torch.no_grad():
        activations = _activations(hare, x)
        with evaluating(hare):
            srank, entropy_rank = effective_ranks(hare.features(x))
        found = {
            "dormant": share(score <= TAU for score in _scores(hare, activations)),
            "zero_activations": share(activation == 0 for activation in activations),
            "srank": srank,
            "entropy_rank": entropy_rank,
            "weight_norm": distance(parameters),
            "initial_distance": distance(parameters, learner.initial.parameters()),
        }
        if learner.tortoise is not None:
            found["tortoise_distance"] = distance(parameters, learner.tortoise.parameters())

    def loss() -> Tensor:
        return functional.cross_entropy(hare(x), labels)

    with evaluating(hare):
        gradient = torch.autograd.grad(loss(), parameters)
        found |= {"gradient_norm_eval": distance(gradient), "zero_gradients": share(g == 0 for g in gradient)}
        if hessian_rounds:
            generator = torch.Generator(x.device).manual_seed(seed)
            with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
                found["hessian"] = top_eigenvalue(loss, parameters, hessian_rounds, generator)
    return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))
