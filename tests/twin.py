"""What tests/test_agent_twin.py needs: networks as formulas on named weights in float64, a scripted game, small agents."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.catalogue import AGENTS
from agents.config import AgentConfig, TargetEnd
from envs.lanes import Step

ACTIONS, LANES, ENV_STEPS, WARMUP = 3, 2, 62, 50
Weights = dict[str, Tensor]
Noise = dict[str, tuple[Tensor, Tensor]]  # of each layer: of its inputs, of its outputs
PADS = {"valid": ((0, 0), (0, 0), (0, 0)), "same": ((2, 2), (1, 2), (1, 1))}
POOLS = ((0, 1), (0, 1), (1, 1))
PARTS = {"streams": ("0.hidden", "0.outputs.advantage", "1.hidden", "1.outputs.value")}
PARTS["last"] = ("0.hidden", "0.outputs.advantage", "0.outputs.value")


def scaled(z: Tensor) -> Tensor:
    low, high = z.amin((1, 2, 3), keepdim=True), z.amax((1, 2, 3), keepdim=True)
    return (z - low) / (high - low + 1e-5)


def convolution(w: Weights, name: str, x: Tensor, stride: int = 1, pad: tuple[int, int] = (1, 1)) -> Tensor:
    return functional.conv2d(functional.pad(x, pad + pad), w[f"{name}.weight"], w[f"{name}.bias"], stride)


def encode(w: Weights, x: Tensor, c: AgentConfig) -> Tensor:
    if c.encoder.kind == "impala":
        for stage, (low, high) in enumerate(POOLS):
            x = convolution(w, f"encoder.{4 * stage}", x)
            x = functional.max_pool2d(functional.pad(x, (low, high, low, high), value=-torch.inf), 3, 2)
            for block in (f"encoder.{4 * stage + 2}", f"encoder.{4 * stage + 3}"):
                x = x + convolution(w, f"{block}.second", convolution(w, f"{block}.first", x.relu()).relu())
        x = x.relu()
    else:
        strides = (5, 5) if c.encoder.kind == "data_efficient" else (4, 2, 1)
        for i, (stride, pad) in enumerate(zip(strides, PADS[c.encoder.padding], strict=False)):
            x = convolution(w, f"encoder.{2 * i}", x, stride, pad).relu()
    return scaled(x) if c.encoder.renormalise else x


def linear(w: Weights, part: str, x: Tensor, noise: Noise | None = None) -> Tensor:
    weight, bias = w[f"head.streams.{part}.weight"], w[f"head.streams.{part}.bias"]
    if noise:
        of_input, of_output = noise[part]
        weight = weight + w[f"head.streams.{part}.weight_sigma"] * of_output[:, None] * of_input
        bias = bias + w[f"head.streams.{part}.bias_sigma"] * of_output
    return x @ weight.T + bias


def outputs(w: Weights, z: Tensor, noise: Noise | None, c: AgentConfig) -> Tensor:
    """Logits of each action, or its value: [B, A, atoms]."""
    x = z.flatten(1)
    first = linear(w, "0.hidden", x, noise).relu()
    advantage = linear(w, "0.outputs.advantage", first, noise).unflatten(1, (-1, c.head.atoms))
    if c.head.dueling == "streams":
        value = linear(w, "1.outputs.value", linear(w, "1.hidden", x, noise).relu(), noise)
    else:
        value = linear(w, "0.outputs.value", first, noise)
    return value[:, None] + advantage - advantage.mean(1, keepdim=True)


def q_values(out: Tensor, c: AgentConfig) -> Tensor:
    if c.head.atoms == 1:
        return out[..., 0]
    atoms = torch.linspace(-c.head.support, c.head.support, c.head.atoms, dtype=torch.float64)
    return (out.softmax(-1) * atoms).sum(-1)


def transition(w: Weights, z: Tensor, action: list[int], c: AgentConfig) -> Tensor:
    planes = torch.zeros(len(z), ACTIONS, *z.shape[2:], dtype=torch.float64)
    for b, a in enumerate(action):
        planes[b, a] = 1
    x = convolution(w, "transition.first", torch.cat((z, planes), 1)).relu()
    if c.prediction is not None and c.prediction.batch_norm:
        x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        x = x * w["transition.norm.weight"][:, None, None] + w["transition.norm.bias"][:, None, None]
    return scaled(convolution(w, "transition.second", x).relu())


def projection(w: Weights, z: Tensor, c: AgentConfig) -> Tensor:
    return torch.cat([linear(w, part, z.flatten(1)) for part in PARTS[c.head.dueling] if part.endswith("hidden")], 1)


def projected(probs: Tensor, ret: float, discount: float, support: float) -> Tensor:
    """The distribution of ret + discount z on the atoms, one atom after another."""
    out, gap = torch.zeros_like(probs), 2 * support / (len(probs) - 1)
    for i, p in enumerate(probs.tolist()):
        place = (min(max(ret + discount * (i * gap - support), -support), support) + support) / gap
        low = min(int(place), len(probs) - 2)
        out[low] += p * (low + 1 - place)
        out[low + 1] += p * (place - low)
    return out


def noise_of(w: Weights, c: AgentConfig, g: torch.Generator) -> Noise | None:
    """One draw for a batch, in the order of `PARTS`."""
    if c.head.noise is None:
        return None
    parts = PARTS[c.head.dueling]
    sizes = [side for part in parts for side in reversed(w[f"head.streams.{part}.weight"].shape)]
    x = torch.randn(sum(sizes), generator=g, device=g.device).cpu().double()
    x = (x.sign() * x.abs().sqrt()).split(sizes)
    return {part: (x[2 * i], x[2 * i + 1]) for i, part in enumerate(parts)}


def augmented(stacks: Tensor, c: AgentConfig, g: torch.Generator) -> Tensor:
    """Uint8 [S, B, 4, 84, 84] to float64, each stack shifted and its brightness changed by draws of its own."""
    x, aug = stacks.double() / 255, c.augmentation
    if aug is None:
        return x
    shift = torch.randint(2 * aug.pad + 1, (2, *x.shape[:2]), generator=g, device=g.device)
    gain = 1 + aug.intensity * torch.randn(x.shape[:2], generator=g, device=g.device).cpu().clamp(-2, 2).double()
    for s in range(x.shape[0]):
        for b in range(x.shape[1]):
            padded = functional.pad(x[s, b][None], (aug.pad,) * 4, mode="replicate")[0]
            top, left = shift[:, s, b].tolist()
            x[s, b] = padded[:, top : top + 84, left : left + 84] * gain[s, b]
    return x


class ScriptedLanes:
    """Noise with rewards beyond 1, lost lives, ends of games and time limits, whatever is done."""

    num_lanes, num_actions = LANES, ACTIONS

    def reset(self) -> np.ndarray:
        self._rng = np.random.default_rng(0)
        return self._frame()

    def _frame(self) -> np.ndarray:
        return self._rng.integers(256, size=(LANES, 12, 12), dtype=np.uint8).repeat(7, 1).repeat(7, 2)

    def send(self, action: np.ndarray) -> None:
        """Nothing comes of it."""

    def recv(self) -> Step:
        kind = self._rng.choice(4, LANES, p=(0.82, 0.06, 0.06, 0.06))
        reward = self._rng.integers(-3, 4, LANES).astype(np.float32)
        return Step(self._frame(), reward, kind == 1, kind == 2, kind == 3, ())

    def close(self) -> None:
        """Nothing to free."""


def small(name: str) -> AgentConfig:
    """The agent with few units and short plans, so that each comes to pass in 12 or 24 updates."""
    c, large = AGENTS[name], name == "bbf"
    return replace(
        c,
        encoder=replace(c.encoder, width=1),
        head=replace(c.head, hidden=8),
        prediction=c.prediction and replace(c.prediction, jumps=5 if c.prediction.batch_norm else 2),
        replay=replace(
            c.replay,
            ratio=1.0 if large else c.replay.ratio,
            batch_size=2 if large else 4,
            warmup_steps=WARMUP,
            beta=replace(c.replay.beta, steps=30),
        ),
        exploration=replace(c.exploration, epsilon=replace(c.exploration.epsilon, steps=10)),
        target=replace(c.target, n=4, end=c.target.end and TargetEnd(2, 0.997, 4)),
        optimizer=replace(c.optimizer, learning_rate=3e-3, clip=c.optimizer.clip and 0.5),
        tortoise=replace(c.tortoise, every=min(c.tortoise.every, 4), decay=min(c.tortoise.decay, 0.9)),
        resets=c.resets and replace(c.resets, every=5 if large else 7),
    )
