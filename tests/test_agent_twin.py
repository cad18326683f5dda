"""Whole runs against a naive twin, from what the lanes give to weights and priorities.

The twin has the project's settings, seeds, first weights and fresh networks, and the lists of tests/naive_replay.py; all else
is written out. Both compute in float64: in float32 a unit that is nearly 0, or two that are nearly the largest, soon part them.
"""

import math
from collections.abc import Callable, Iterator
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import Tensor

import train
from agents.config import AgentConfig
from agents.execution import Execution
from networks.qnetwork import QNetwork
from options import Run
from replay.batch import uniform
from tests.naive_replay import NaiveReplay, Row
from tests.twin import (
    ACTIONS,
    ENV_STEPS,
    LANES,
    WARMUP,
    ScriptedLanes,
    Weights,
    augmented,
    encode,
    noise_of,
    outputs,
    projected,
    projection,
    q_values,
    small,
    transition,
)


class Twin:
    """After `run`, `hare`, `tortoise`, `memory` and `actions` are what those of a real run should be."""

    def __init__(
        self, c: AgentConfig, weights: Weights, draws: dict[str, torch.Generator], fresh: Callable[[], Weights]
    ) -> None:
        self.c, self.draws, self.fresh = c, draws, fresh
        self.hare, self.tortoise = dict(weights), dict(weights)
        self.forget_moments()
        self.updates = self.since_restart = 0
        self.actions: list[list[int]] = []

    def forget_moments(self) -> None:
        self.mean = {name: torch.zeros_like(value) for name, value in self.hare.items()}
        self.square = dict(self.mean)
        self.adam_steps = 0

    def run(self, lanes: ScriptedLanes) -> None:
        c = self.c
        self.memory = NaiveReplay(ENV_STEPS // LANES, LANES, c.target.n, c.jumps, c.replay.alpha, 84)
        frame = lanes.reset()
        stacks = [[self.memory.black] * 3 for _ in range(LANES)]
        for now in range(0, ENV_STEPS, LANES):
            stacks = [[*stack[-3:], new] for stack, new in zip(stacks, frame, strict=True)]
            action = self.act(torch.tensor(np.array(stacks)), now)
            while self.updates < (now + LANES - WARMUP) * c.replay.ratio:
                self.update(now)
            lanes.send(action.numpy())
            step = lanes.recv()
            terminal = step.life_lost | step.game_over
            if c.replay.new_rows == "one":
                self.memory.largest = 1.0
            self.memory.append(frame, action.numpy(), step.reward.clip(-1, 1), terminal, step.truncated)
            for i in range(LANES):
                if terminal[i] or step.truncated[i]:
                    stacks[i] = [self.memory.black] * 3
            self.actions.append(action.tolist())
            frame = step.frame

    def act(self, stacks: Tensor, now: int) -> Tensor:
        g, plan, past = self.draws["acting"], self.c.exploration.epsilon, now - WARMUP
        epsilon = plan.start if past < 0 else plan.end
        if 0 <= past < plan.steps:
            epsilon = plan.end + (plan.start - plan.end) * (plan.steps - past) / plan.steps
        w = self.tortoise if self.c.tortoise.acts else self.hare
        random = torch.randint(ACTIONS, (len(stacks),), generator=g, device=g.device).cpu()
        if epsilon == 1:
            return random
        out = outputs(w, encode(w, stacks.double() / 255, self.c), noise_of(w, self.c, g), self.c)
        greedy = q_values(out, self.c).argmax(1)
        if epsilon == 0:
            return greedy
        return torch.where(torch.rand(len(stacks), generator=g, device=g.device).cpu() < epsilon, random, greedy)

    def draw(self) -> list[Row]:
        """One row from each of equal slices of the priorities' sum, rows in the order of their addresses."""
        rows, batch = sorted(self.memory.drawable(), key=lambda row: row.address), self.c.replay.batch_size
        slice_ = sum(row.priority for row in rows) / batch
        drawn = []
        for i, u in enumerate(uniform(batch, self.draws["replay"]).tolist()):
            below, found = 0.0, iter(rows)
            while below <= (i + u) * slice_:
                row = next(found)
                below += row.priority
            drawn.append(row)
        return drawn

    def horizon(self) -> tuple[int, float]:
        target = self.c.target
        if target.end is None:
            return target.n, target.gamma
        u = min(self.since_restart / target.end.updates, 1)
        short = (1 - target.gamma) ** (1 - u) * (1 - target.end.gamma) ** u
        return round(target.n ** (1 - u) * target.end.n**u), 1 - short

    def update(self, now: int) -> None:
        c, (n, gamma) = self.c, self.horizon()
        rows, plan = self.draw(), c.replay.beta
        samples = [self.memory.sample(row, n, gamma) for row in rows]
        beta = plan.start + (plan.end - plan.start) * min((now - WARMUP) / max(plan.steps, 1), 1)
        weights = [(min(row.priority for row in rows) / row.priority) ** beta / len(rows) for row in rows]
        g = self.draws["learning"]
        x = augmented(torch.stack([torch.tensor(sample.observations) for sample in samples], 1), c, g)
        hare = {name: value.clone().requires_grad_() for name, value in self.hare.items()}
        noise, other = noise_of(hare, c, g), noise_of(hare, c, g)
        with torch.no_grad():
            best = q_values(outputs(hare, encode(hare, x[-1], c), noise, c), c).argmax(1)
            following = outputs(self.tortoise, encode(self.tortoise, x[-1], c), other, c)
            goals = [projection(self.tortoise, encode(self.tortoise, y, c), c) for y in x[1:-1]]
        z = encode(hare, x[0], c)
        heard = z.detach() + c.head.gradient_scale * (z - z.detach())
        out = outputs(hare, heard, noise, c)
        loss, priorities = torch.zeros(()), []
        for b, sample in enumerate(samples):
            value, mine = following[b, best[b]], out[b, sample.action[0]]
            if c.head.atoms == 1:
                gap = (mine - sample.ret - sample.discount * value)[0].abs()
                error = gap**2 / 2 if gap <= 1 else gap - 0.5
                priorities.append(error.item())
            else:
                goal = projected(value.softmax(0), sample.ret, sample.discount, c.head.support)
                error = -(goal * mine.log_softmax(0)).sum()
                entropy = -sum(p * math.log(p) for p in goal.tolist() if p > 0)
                priorities.append(error.item() - entropy * (c.replay.priority == "kl"))
            loss = loss + weights[b] * error
        for k, goal in enumerate(goals):
            z = transition(hare, z, [sample.action[k] for sample in samples], c)
            guess = projection(hare, z, c) @ hare["predictor.weight"].T + hare["predictor.bias"]
            for b, sample in enumerate(samples):
                distance = (guess[b] / guess[b].norm() - goal[b] / goal[b].norm()).square().sum()
                loss = loss + weights[b] * c.prediction.weight * sample.mask[k] * distance / len(goals)
        gradients = torch.autograd.grad(loss, list(hare.values()))
        self.step(dict(zip(hare, gradients, strict=True)))
        self.memory.write(rows, priorities)
        for row in rows:  # whole multiples of 2^-20
            row.priority = round(row.priority * 2**20) / 2**20
        self.memory.largest = round(self.memory.largest * 2**20) / 2**20
        self.updates += 1
        self.since_restart += 1
        self.follow_and_reset()

    def step(self, gradients: Weights) -> None:
        """Clipped in two groups, encoder with head and transition model; then AdamW as its paper has it."""
        opt = self.c.optimizer
        size = {"predictor": 0.0, "transition": 0.0, "rest": 0.0}
        group = {name: part if (part := name.split(".")[0]) in size else "rest" for name in gradients}
        for name, part in group.items():
            size[part] += gradients[name].square().sum().item() * (part != "predictor")
        self.adam_steps += 1
        for name, gradient in gradients.items():
            norm = size[group[name]] ** 0.5
            if opt.clip is not None and norm > opt.clip:
                gradient = gradient * opt.clip / (norm + 1e-6)  # as PyTorch does
            self.mean[name] = opt.beta1 * self.mean[name] + (1 - opt.beta1) * gradient
            self.square[name] = opt.beta2 * self.square[name] + (1 - opt.beta2) * gradient**2
            mean = self.mean[name] / (1 - opt.beta1**self.adam_steps)
            root = (self.square[name] / (1 - opt.beta2**self.adam_steps)).sqrt()
            shrink = opt.learning_rate * opt.weight_decay * (gradient.ndim > 1)
            self.hare[name] = self.hare[name] - shrink * self.hare[name] - opt.learning_rate * mean / (root + opt.epsilon)

    def follow_and_reset(self) -> None:
        slow, plan = self.c.tortoise, self.c.resets
        missed = int(WARMUP * self.c.replay.ratio)
        if (self.updates + missed * slow.warmup_counts) % slow.every == 0:
            self.tortoise = {
                name: slow.decay * value + (1 - slow.decay) * self.hare[name] for name, value in self.tortoise.items()
            }
        if plan is None or (self.updates + missed * plan.warmup_counts) % plan.every:
            return
        if plan.source == "tortoise":
            self.hare = dict(self.tortoise)
        elif self.updates + plan.every <= (ENV_STEPS - WARMUP) * self.c.replay.ratio:
            self.hare, self.tortoise = self.renewed(self.hare), self.renewed(self.tortoise)
            self.forget_moments()
            self.since_restart = 0

    def renewed(self, w: Weights) -> Weights:
        """Encoder and transition model partly new, all else new."""
        new, keep = self.fresh(), self.c.resets.keep_body
        share = {name: keep if name.startswith(("encoder", "transition")) else 0.0 for name in w}
        return {name: share[name] * w[name] + (1 - share[name]) * new[name] for name in w}


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Tensor, "float", Tensor.double)  # frames become numbers by it
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
RESETS = {"der_ht": 1, "spr_ht": 3, "sr_spr": 2, "bbf": 1}


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, CUDA])])
@pytest.mark.parametrize("name", ["der", "der_ht", "spr", "spr_ht", "sr_spr", "bbf", "drq_eps"])
def test_a_run_ends_as_its_twin(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU with all of an env step as CUDA graphs, and the twin on the CPU."""
    config, execution = small(name), Execution("float32", captured=device == "cuda")
    monkeypatch.setattr(train, "make_lanes", lambda *_: ScriptedLanes())
    run = Run(env_steps=ENV_STEPS, num_lanes=LANES, measure_every=0, device=device, seed=3, config=config, execution=execution)
    real = train.Training(run, torch.device(device))
    agent, draws = real.agent, {"replay": torch.Generator(device).manual_seed(run.seed)}
    for stream, state in agent.state_dict()["generators"].items():
        draws[stream] = torch.Generator(device if stream != "fresh" else "cpu")  # networks are drawn on the CPU
        draws[stream].set_state(state)

    def fresh() -> Weights:
        network = QNetwork(config.encoder, config.head, config.prediction, ACTIONS)
        network.initialise_(draws["fresh"], config.initialisation)
        return {key: value.detach() for key, value in network.named_parameters()}

    twin = Twin(config, {key: value.detach().cpu().clone() for key, value in agent.hare.named_parameters()}, draws, fresh)
    real.learn(MagicMock(stopping=False, seconds=0.0))
    twin.run(ScriptedLanes())
    assert agent.resets == RESETS.get(name, 0)
    assert real.past.state_dict()["actions"].tolist() == twin.actions
    for mine, its in ((agent.hare, twin.hare), (agent.tortoise, twin.tortoise)):
        for key, value in mine.named_parameters():
            torch.testing.assert_close(value.detach().cpu(), its[key], rtol=0, atol=1e-9, msg=key)
    priorities = real.replay.priorities.value.tolist()
    for row in twin.memory.rows():
        assert priorities[row.address] == row.priority * 2**20
