"""What weights obey after every update: bounds, norms, or that the smallest are 0."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from hare_tortoise.network import Network, hidden, weighted
from hare_tortoise.settings import Constraints, Pruning


class Obedience:
    """Makes networks of one architecture obey `settings` and `pruning`; what is bounded or kept is as it is in `initial`."""

    def __init__(self, initial: Network, settings: Constraints, pruning: Pruning | None) -> None:
        self._settings = settings
        self.masks = [torch.ones_like(m.weight) for m in weighted(initial)] if pruning is not None else []
        self.remember_(initial)

    @torch.no_grad()
    def remember_(self, initial: Network) -> None:
        """Bounds and norms are those of `initial` from now on. Waits for the device."""
        self._bounds, self._norms = [], torch.zeros(())
        if self._settings.bound is not None:
            sizes = [_size(module, name) for module in weighted(initial) for name, _ in module.named_parameters(recurse=False)]
            self._bounds = (self._settings.bound * torch.stack(sizes)).tolist()
        if self._settings.norms:
            self._norms = torch.stack(torch._foreach_norm([module.weight for module in hidden(initial)]))

    @torch.no_grad()
    def impose_(self, network: Network) -> None:
        """Change the weights of `network` as little as it takes. Never waits for the device."""
        if self.masks:
            pruned = weighted(network)
            torch._foreach_mul_([module.weight for module in pruned], self.masks)
            noises = [(m.weight_sigma, mask) for m, mask in zip(pruned, self.masks, strict=True) if hasattr(m, "weight_sigma")]
            for noise, mask in noises:
                noise.mul_(mask)
        if self._settings.norms:
            modules = hidden(network)
            now = torch.stack(torch._foreach_norm([module.weight for module in modules]))
            for module, factor in zip(modules, (self._norms / (now + 1e-12)).unbind(), strict=True):
                for parameter in module.parameters(recurse=False):  # biases and noise too: a normalisation then notices nothing
                    parameter.mul_(factor)
        if self._settings.bound is not None:
            tensors = [parameter for module in weighted(network) for parameter in module.parameters(recurse=False)]
            torch._foreach_clamp_max_(tensors, self._bounds)
            torch._foreach_clamp_min_(tensors, [-bound for bound in self._bounds])

    @torch.no_grad()
    def prune_(self, network: Network, share: float) -> None:
        """Choose the `share` of the weights of `network` that are 0 from now on: each layer's smallest, the last of equals."""
        weights = [module.weight for module in weighted(network)]
        for weight, mask, density in zip(weights, self.masks, densities([w.shape for w in weights], 1 - share), strict=True):
            kept = weight.abs().flatten().argsort(descending=True, stable=True)[: round(density * weight.numel())]
            flat = torch.zeros(weight.numel(), device=weight.device)
            flat[kept] = 1
            mask.copy_(flat.view(weight.shape))
        self.impose_(network)


def _size(module: nn.Module, name: str) -> Tensor:
    """The size by which a layer's parameter of that name is bounded: its own largest, of a bias its weight's; float32 []."""
    return module.get_parameter("weight" if name == "bias" else name).abs().max()


def densities(shapes: Sequence[Sequence[int]], density: float) -> list[float]:
    """The share of its weights that each layer keeps so that the share `density` of all is kept.

    In proportion to the sum of a layer's dimensions over their product (Erdos-Renyi-kernel, Evci et al. 2020), at most 1.
    """
    sizes, ratios = [prod(shape) for shape in shapes], [sum(shape) / prod(shape) for shape in shapes]
    whole: set[int] = set()
    while True:
        left = [i for i in range(len(shapes)) if i not in whole]
        wanted = density * sum(sizes) - sum(sizes[i] for i in whole)
        factor = wanted / sum(ratios[i] * sizes[i] for i in left) if left else 0.0
        full = {i for i in left if factor * ratios[i] > 1}
        if not full:
            return [1.0 if i in whole else factor * ratios[i] for i in range(len(shapes))]
        whole |= full
