"""The Hessian's top eigenvalue: of losses whose Hessian is known, and of agents against differences of gradients in float64."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian

from agents.agent import Agent
from agents.config import Penalties
from agents.measures import measure
from agents.objective import objective
from hare_tortoise.measure import of_loss, top_eigenvalue
from tests.test_measures import AGENTS, Windows, gradients_of, norm, trained, training_batch
from tests.test_plasticity import normal

STEP = 1e-9  # of finite differences in float64: so short that no ReLU among thousands has its kink within


class Quadratic(nn.Module):
    """Half of x'Ax, whose gradient is Ax and whose Hessian is A, float32 [5, 5]."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix, self.calls = matrix, 0
        self.first, self.second = nn.Parameter(normal(8, 2)), nn.Parameter(normal(9, 3, 1))

    def x(self) -> Tensor:
        return torch.cat([p.flatten() for p in self.parameters()])

    def loss(self) -> Tensor:
        self.calls += 1
        return self.x() @ self.matrix @ self.x() / 2


def with_eigenvalues(values: tuple[float, ...]) -> Quadratic:
    q = torch.linalg.qr(normal(7, 5, 5)).Q
    return Quadratic(q @ torch.diag(torch.tensor(values)) @ q.T)


@pytest.mark.parametrize("eigenvalues", [(5.0, 1.0, -2.0, 0.1, 3.0), (2.0, -7.0, 3.0, 1.0, 0.0)])
@pytest.mark.parametrize("rounds", [5, 60])  # as many as there are dimensions are enough, and more do no harm
def test_top_eigenvalue_of_a_quadratic(eigenvalues: tuple[float, ...], rounds: int) -> None:
    model = with_eigenvalues(eigenvalues)
    found = of_loss(model.loss, model, rounds)
    assert found["hessian"].item() == pytest.approx(max(eigenvalues, key=abs), rel=1e-4)
    assert found["hessian"].dtype == torch.float32
    assert found["gradient_norm"].item() == pytest.approx((model.matrix @ model.x()).norm().item(), rel=1e-5)
    assert model.calls == 1
    assert all(p.grad is None for p in model.parameters())
    assert not any(value.requires_grad for value in found.values())


def test_few_rounds_give_the_largest_value_of_what_they_span_and_none_gives_0() -> None:
    model = with_eigenvalues((5.0, 1.0, -2.0, 0.1, 3.0))
    matrix = model.matrix.double().numpy()
    start = matrix @ model.x().detach().double().numpy()
    found = [of_loss(model.loss, model, n)["hessian"].item() for n in (1, 2, 3)]
    assert found[0] == pytest.approx(start @ matrix @ start / (start @ start), rel=1e-5)  # the quotient along the gradient
    for n in (1, 2, 3):
        span = np.linalg.qr(np.array([np.linalg.matrix_power(matrix, k) @ start for k in range(n)]).T).Q
        assert found[n - 1] == pytest.approx(max(np.linalg.eigvalsh(span.T @ matrix @ span), key=abs), rel=1e-4)
    assert "hessian" not in of_loss(model.loss, model)


def test_without_a_gradient_it_is_0_and_without_a_finite_hessian_nan() -> None:
    p = torch.zeros(3, requires_grad=True)
    gradient = torch.autograd.grad((p**2).sum(), [p], create_graph=True)
    assert top_eigenvalue(gradient, [p], 3).item() == 0
    root = torch.autograd.grad((p[0] + p.abs().sqrt().sum()) * torch.tensor(torch.inf), [p], create_graph=True)
    assert top_eigenvalue(root, [p], 3).isnan()


def test_top_eigenvalue_of_a_small_network_is_its_exact_hessians() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    with torch.no_grad():
        for seed, p in enumerate(network.parameters()):
            p.copy_(normal(seed + 20, *p.shape))
    x, y = normal(10, 6, 3), normal(11, 6, 2)
    vector = torch.cat([p.detach().flatten() for p in network.parameters()]).double()

    def of_vector(v: Tensor) -> Tensor:
        hidden = torch.tanh(x.double() @ v[:12].view(4, 3).T + v[12:16])
        return (hidden @ v[16:24].view(2, 4).T + v[24:] - y.double()).square().mean()

    exact = np.linalg.eigvalsh(hessian(of_vector, vector).numpy())
    found = of_loss(lambda: (network(x) - y).square().mean(), network, 100)["hessian"]
    assert found.item() == pytest.approx(max(exact, key=abs), rel=1e-3)


def krylov(agent: Agent, replay: Windows, seed: int, rounds: int) -> float:
    """The largest Ritz value in float64 of the gradient and its products with the Hessian, each a difference of gradients."""
    g, config = torch.Generator().manual_seed(seed), agent.config
    x, batch = training_batch(agent, replay, g)
    x = x.double()
    noise = tuple(None if n is None else n.double() for n in (agent.hare.draw_noise(g), agent.tortoise.draw_noise(g)))
    batch = replace(batch, **{name: getattr(batch, name).double() for name in ("ret", "discount", "mask", "weight")})
    hare, tortoise, initial = (deepcopy(network).double() for network in (agent.hare, agent.tortoise, agent.initial))
    pulled = zip(hare.parameters(), initial.parameters(), strict=True)
    starts = [q for p, q in pulled if p.requires_grad]
    learns = [p for p in hare.parameters() if p.requires_grad]

    def gradient(along: list[Tensor], step: float) -> list[Tensor]:
        with torch.no_grad():
            for p, v in zip(learns, along, strict=True):
                p += step * v
        found = torch.autograd.grad(objective(config, (hare, tortoise), batch, x, noise).loss, learns)
        pull = 2 * config.penalties.initial
        found = [f + pull * (p - q).detach() for f, p, q in zip(found, learns, starts, strict=True)]
        with torch.no_grad():
            for p, v in zip(learns, along, strict=True):
                p -= step * v
        return found

    def product(vector: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(vector).split([p.numel() for p in learns])
        along = [part.view_as(p) for part, p in zip(parts, learns, strict=True)]
        return (flat(gradient(along, STEP)) - flat(gradient(along, -STEP))) / (2 * STEP)

    vector, basis, products = flat(gradient([torch.zeros_like(p) for p in learns], 0.0)), [], []
    for _ in range(rounds):
        for _ in range(2):
            vector = vector - sum(u * (u @ vector) for u in basis)
        basis.append(vector / np.linalg.norm(vector))
        products.append(vector := product(basis[-1]))
    values = np.linalg.eigvalsh(np.array(basis) @ np.array(products).T)
    return float(max(values, key=abs))


def flat(tensors: list[Tensor]) -> np.ndarray:
    return np.concatenate([t.detach().numpy().ravel() for t in tensors])


ROUNDS = {name: {"der": 1, "spr": 4}.get(name, 2) for name in AGENTS if not name.endswith(" spr")}


@pytest.mark.parametrize(("name", "rounds"), ROUNDS.items())
def test_the_hessian_is_that_of_the_loss(name: str, rounds: int) -> None:
    agent, replay = trained(name)
    found = measure(agent, replay, 3, rounds)["hessian"]
    assert found == pytest.approx(krylov(agent, replay, 3, rounds), rel=0.01, abs=1e-6)


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_the_distance_to_the_initial_weights_counts(strength: float) -> None:
    """Its gradient is 2 strength (p - p_0), its Hessian 2 strength times the identity."""
    agent, replay = trained("der")
    gradient = gradients_of(agent, replay, 4)
    agent.config = replace(agent.config, penalties=Penalties(initial=strength))
    found = measure(agent, replay, 4, 2)
    away = [p - q for p, q in zip(agent.hare.parameters(), agent.initial.parameters(), strict=True)]
    expected = norm([g + 2 * strength * d for g, d in zip(gradient.values(), away, strict=True)])
    assert found["gradient_norm"] == pytest.approx(expected, rel=1e-5)
    assert found["hessian"] == pytest.approx(krylov(agent, replay, 4, 2), rel=1e-3)


def test_the_hessian_of_an_agent_that_will_be_injected() -> None:
    agent, replay = trained("inject", 1)
    assert not agent.hare.injected
    assert np.isfinite(measure(agent, replay, 4, 2)["hessian"])
