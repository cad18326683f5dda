"""Orthogonal weights: the nearest (FIRE, Han et al. 2026), and a penalty that pulls there (Parseval, Chung et al. 2024)."""

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor

from hare_tortoise.network import Network, parts, weighted
from hare_tortoise.reset import blend_


@torch.no_grad()
def orthogonalised(network: Network, initial: Network) -> Network:
    """A copy of `network` with the nearest orthogonal weights in its body, and behind it those of `initial`.

    They are scaled by sqrt(outputs / inputs), those of a convolution at each tap, by one over the number of taps as well, as
    in FIRE's code. That comes near the nearest by ten Newton-Schulz rounds; here singular values are computed.
    """
    new = deepcopy(network)
    mine, theirs = parts(new), parts(initial)
    for part in ("neck", "head"):
        blend_(mine[part], theirs[part], 0)
    body = {id(tensor) for tensor in mine["body"]}
    for module in weighted(new):
        if id(module.weight) in body:
            module.weight.copy_(nearest_orthogonal(module.weight))
    return new


def nearest_orthogonal(weight: Tensor) -> Tensor:
    """The scaled orthogonal matrices nearest to `weight`, [out, in, ...], at each tap; of its shape. Of rank 0 it is any."""
    taps = weight.flatten(2).movedim(2, 0) if weight.ndim > 2 else weight[None]  # [taps, out, in]
    left, _, right = torch.linalg.svd(taps, full_matrices=False)
    scale = (weight.shape[0] / weight.shape[1]) ** 0.5 / len(taps)
    return (scale * (left @ right)).movedim(0, 2).reshape(weight.shape)


def orthogonality_penalty(weights: Iterable[Tensor], strength: float) -> Tensor | float:
    """`strength` times the sum of |W W^T - 1|^2 over `weights`, [out, in, ...], each taken as a matrix; float32 []."""
    if not strength:
        return 0.0
    away = [rows @ rows.T - torch.eye(len(rows), device=rows.device) for rows in (w.flatten(1) for w in weights)]
    return strength * torch.stack([a.square().sum() for a in away]).sum()


@torch.no_grad()
def pull_to_orthogonal_(weights: Iterable[Tensor], strength: float) -> None:
    """Add to each gradient that of `orthogonality_penalty`, in place. Tensors without a gradient are left alone."""
    for weight in weights:
        if weight.grad is not None:
            rows = weight.flatten(1)
            # (W W^T) W = W (W^T W): the smaller of the two products does.
            pulled = (rows @ rows.T) @ rows if rows.shape[0] <= rows.shape[1] else rows @ (rows.T @ rows)
            weight.grad.add_((pulled - rows).view_as(weight), alpha=4 * strength)
