"""What is measured of a classifier: accuracy, and how much it can still learn."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hare_tortoise.measure import activations, evaluating, of_loss, of_units, of_weights, to_row
from supervised.data import Data
from supervised.learner import Learner
from supervised.models import Classifier

SIZE = 512  # images in a measurement; no rank of theirs can be larger
CHUNK = 1_000  # images in a pass of an evaluation


@torch.no_grad()
def accuracy(network: Classifier, data: Data, images: Tensor, labels: Tensor) -> float:
    """Share of `images`, uint8 [N, C, H, W], for which the largest logit is that of `labels`, int64 [N]. Waits once."""
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with evaluating(network):
        for start in range(0, len(labels), CHUNK):
            predicted = network(data.prepare(images[start : start + CHUNK])).argmax(1)
            right += (predicted == labels[start : start + CHUNK]).sum()
    return int(right) / len(labels)


def accuracies(name: str, network: Classifier, data: Data, images: Tensor, labels: Tensor) -> dict[str, float]:
    """`accuracy` of the `network` called `name` on the test images of `data`, and on `images` with `labels` of its training."""
    tested = accuracy(network, data, data.test_images, data.test_labels)
    return {f"test_{name}": tested, f"train_{name}": accuracy(network, data, images, labels)}


def measure(learner: Learner, x: Tensor, labels: Tensor, hessian_rounds: int = 0) -> dict[str, Any]:
    """Measurements of the hare on images `x`, float32 [M, C, H, W], with `labels`, int64 [M]. Changes nothing; waits once.

    dormant, dead: share of hidden units with a dormancy score of at most 0.025 and 0; zero_activations: share of hidden
    activations that are 0; srank, entropy_rank: effective ranks of what the last layer gets; weight_norm; initial_distance,
    from the weights at the start; tortoise_distance; zero_gradients: share of the parameters whose gradient is 0;
    gradient_norm_eval; with `hessian_rounds` hessian, the eigenvalue of the largest size of the loss's Hessian. Both norms are
    told of each part too, as weight_norm_body, and under `layers` of each layer by its name in the state dict. Without
    dropout, and with the running statistics of batch normalisation.
    """
    hare = learner.hare
    # Fused attention has no second derivative.
    kernels = sdpa_kernel(SDPBackend.MATH) if hessian_rounds else nullcontext()
    with evaluating(hare):
        with torch.no_grad():
            measured = of_units(hare.layers(), activations(hare, x), hare.features(x))
        with kernels:
            loss = of_loss(lambda: functional.cross_entropy(hare(x), labels), hare, hessian_rounds)
    # The norm of the updates' gradients is another one: a mean, in training mode.
    told = {name.replace("gradient_norm", "gradient_norm_eval"): value for name, value in loss.items()}
    return to_row({**measured, **of_weights(hare, learner.initial, learner.tortoise), **told}, hare)
