"""Losses, pure. Each checks its shapes: nothing here broadcasts by accident."""

from torch import Tensor
from torch.nn import functional


def check_shape(name: str, tensor: Tensor, *shape: int) -> None:
    """ValueError unless `tensor` has exactly `shape`."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must be {list(shape)}, not {list(tensor.shape)}")


def project_categorical(probs: Tensor, atoms: Tensor, ret: Tensor, discount: Tensor) -> Tensor:
    """The distribution of ret + discount * z on the support of z (Bellemare et al. 2017).

    `probs` float32 [B, N] of the equally spaced `atoms` float32 [N]; `ret` and `discount` float32 [B]; result [B, N]. Mass
    that lands between two atoms is shared linearly, mass outside goes to the end.
    """
    b, n = probs.shape
    check_shape("atoms", atoms, n)
    check_shape("ret", ret, b)
    check_shape("discount", discount, b)
    low, high = atoms[0], atoms[-1]
    moved = (ret.unsqueeze(1) + discount.unsqueeze(1) * atoms).clamp(low, high)
    distance = (moved.unsqueeze(1) - atoms.unsqueeze(1)).abs() * ((n - 1) / (high - low))  # [B, to, from], in atoms
    return ((1 - distance).clamp_(min=0) * probs.unsqueeze(1)).sum(2)  # no matrix product, which autocast would round


def categorical_td(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Kullback-Leibler divergence from `target` float32 [B, N] to `logits` float32 [B, N]; two [B].

    Their gradients are equal: they differ by the target's entropy.
    """
    b, n = target.shape
    check_shape("logits", logits, b, n)
    cross_entropy = -(target * logits.log_softmax(1)).sum(1)
    entropy = -(target * target.clamp(min=1e-12).log()).sum(1)
    return cross_entropy, (cross_entropy - entropy).clamp(min=0)


def self_prediction(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over K steps of the squared distance of unit vectors, 2 - 2 cos (Schwarzer et al. 2021).

    `predicted` and `target` float32 [K, B, D]; `mask` float32 [K, B], 0 where there is nothing to predict (such a step counts
    as 0, the divisor stays K); result [B]. Vectors shorter than 1e-3 are divided by that, as in mila-iqia/spr.
    """
    k, b, _ = predicted.shape
    check_shape("target", target, *predicted.shape)
    check_shape("mask", mask, k, b)
    gap = functional.normalize(predicted, dim=2, eps=1e-3) - functional.normalize(target, dim=2, eps=1e-3)
    return (gap.square().sum(2) * mask).mean(0)


def huber_td(values: Tensor, target: Tensor) -> Tensor:
    """Huber loss with delta 1 of `values` float32 [B] against `target` float32 [B]; [B] (Mnih et al. 2015)."""
    check_shape("values", values, len(target))
    return functional.huber_loss(values, target, reduction="none", delta=1.0)
