"""The agent: a hare that learns, a tortoise that follows it, and what is planned between them."""

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from agents.config import AgentConfig
from agents.engine import Captured, casting, compiling, prepare, settle
from agents.execution import AUTO, Execution
from agents.objective import Clocks, Objective, draw, look, objective
from agents.schedules import anneal, annealed
from agents.tally import Tally, note_
from hare_tortoise.network import check
from hare_tortoise.step import GradientStep, build_optimizer, leave
from hare_tortoise.upkeep import Upkeep
from networks.qnetwork import QNetwork
from replay.batch import Sampler, first_frames

WAYS = ("fused", "foreach", "capturable")  # of computing a step of Adam: an agent's own, not its checkpoint's


def choose(network: QNetwork, frames: Tensor, noise: Tensor | None) -> Tensor:
    """The actions of the largest value for stacks of `frames`, uint8 [L, 4, 84, 84], under the network's `noise`; int64 [L]."""
    latent = network.encode(frames.float().div_(255))
    return network.values(network.logits(latent, network.noisy(noise))).argmax(1)


class Agent:
    """Acts, learns, and resets, as `config` says. Knows no environment and no file.

    `update` changes tensors of fixed address in place and reads none of them on the host; only `act`, `metrics` and `broken`
    wait for the device.
    """

    def __init__(
        self,
        config: AgentConfig,
        num_actions: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        execution: Execution = AUTO,
        planned: int | None = None,
    ) -> None:
        """`planned`: updates of the whole run, if known. No reset comes when too few of them are left (`Resets.due`)."""
        self.config = config
        self.num_actions = num_actions
        self.device = torch.device(device)
        self.execution = execution = settle(execution, self.device, planned)
        seeds = torch.Generator().manual_seed(seed)
        seeded = torch.randint(2**62, (3,), generator=seeds).tolist()
        self._origin = seeded[0]
        self._fresh = torch.Generator().manual_seed(self._origin)  # on the CPU: the same weights on every device
        self._learning = torch.Generator(self.device).manual_seed(seeded[1])
        self._acting = torch.Generator(self.device).manual_seed(seeded[2])
        check(self._build())
        hare, c = self._new_network(), config
        ready = prepare(execution, self.device)
        # All but the loss: compiled it is slower on a CPU (docs/log.md).
        self.prepare = around = ready if self.device.type == "cuda" else leave
        capturable, compilable = bool(execution.captured), around is not leave
        self.optimizer = build_optimizer(c.optimizer, hare, capturable, compilable) if c.optimizer is not None else None
        self.upkeep = Upkeep(hare, self.optimizer, self._new_network, c.plans(planned))
        self.hare, self.tortoise, self.initial = hare, self.upkeep.pair.tortoise, self.upkeep.initial
        self._step = GradientStep(hare, self.initial, c.optimizer, c.penalties, around) if c.optimizer is not None else None
        self.updates = 0
        self._first = first_frames(config.jumps, self.device)
        start = config.target.n, config.target.gamma, config.replay.beta.start
        self._n, self._gamma, self._beta = self.clocks = Clocks(*(torch.tensor(value, device=self.device) for value in start))
        self.epsilon = config.exploration.epsilon.start
        self._tally = Tally(self.device)
        self._choose, self._look, self._objective, self._note = around(choose), around(look), ready(objective), around(note_)
        self._known: set[Hashable] = set()
        self._graphs: dict[Hashable, Captured] = {}
        self._seen: dict[torch.Size, Tensor] = {}  # where a graph reads the frames to act on

    def _build(self) -> QNetwork:
        c = self.config
        with torch.random.fork_rng(devices=[]):  # modules draw from the global generator when they are made
            return QNetwork(c.encoder, c.head, c.prediction, self.num_actions, injectable=c.injection is not None)

    def _new_network(self) -> QNetwork:
        network = self._build()
        network.initialise_(self._fresh, self.config.initialisation)
        return network.to(self.device, memory_format=torch.channels_last)

    @property
    def resets(self) -> int:
        """How many there were."""
        return self.upkeep.pair.resets

    @property
    def actor(self) -> QNetwork:
        """The network that chooses actions, in training and evaluation."""
        return self.tortoise if self.config.tortoise.acts else self.hare

    def anneal_(self, env_step: int) -> None:
        """Set epsilon and the importance exponent for `env_step`."""
        elapsed = env_step - self.config.replay.warmup_steps
        self.epsilon = anneal(self.config.exploration.epsilon, elapsed)
        self._beta.fill_(anneal(self.config.replay.beta, elapsed))

    @torch.no_grad()
    def act(self, frames: Tensor, evaluation: torch.Generator | None = None) -> Tensor:
        """Actions, int64 [L], for stacks of frames, uint8 [L, 4, 84, 84]: greedy but for epsilon, noisy while learning.

        With a generator for `evaluation` the draws come from it, epsilon is that of evaluations, and there is no noise; the
        agent itself is left as it was.
        What a graph gives is overwritten by the next call for frames of this shape.
        """
        lanes = len(frames)
        epsilon = self.epsilon if evaluation is None else self.config.exploration.evaluation
        generator = self._acting if evaluation is None else evaluation
        random = torch.randint(self.num_actions, (lanes,), generator=generator, device=self.device)
        if epsilon == 1:
            return random
        noisy = evaluation is None
        if self.execution.captured:
            if frames.shape not in self._seen:
                self._seen[frames.shape] = frames.clone()
            frames = self._seen[frames.shape].copy_(frames)
        key = "act", frames.shape, noisy, self.actor.injected
        greedy = self._carry_out(partial(self._greedy, frames, noisy), [self._acting], key)
        if epsilon == 0:
            return greedy
        explores = torch.rand(lanes, generator=generator, device=self.device) < epsilon
        return torch.where(explores, random, greedy)

    def _greedy(self, frames: Tensor, noisy: bool) -> Tensor:
        noise = self.actor.draw_noise(self._acting) if noisy else None
        return (self._choose if noisy else choose)(self.actor, frames, noise)  # an evaluation is too short to compile for

    def _carry_out(self, function: Callable[[], Any], generators: list[torch.Generator], key: Hashable) -> Any:
        """What `function` returns; as a CUDA graph, which `key` tells from the others, if graphs are asked for."""
        if self.execution.captured:
            if key not in self._graphs:
                self._graphs[key] = Captured(function, generators)
            return self._graphs[key]()
        new = key not in self._known  # what is compiled is compiled now
        self._known.add(key)
        with compiling() if new and self.execution.compiled else nullcontext():
            return function()

    def update(self, replay: Sampler) -> None:
        """One gradient step on one batch from `replay`, then the tortoise's, then whatever is planned for this update."""
        key = "learn", id(replay), self.hare.injected, self.tortoise.injected
        states = self._carry_out(partial(self._learn, replay), [self._learning, replay.generator], key)
        self.updates += 1
        self.upkeep.after_update(self.updates, states)
        if self.config.target.end is not None:
            self._anneal_target_()

    def _learn(self, replay: Sampler) -> Tensor:
        """One gradient step on one batch, which gets new priorities; its states s_t, float32 [B, 4, 84, 84]."""
        assert self._step is not None, "this agent does not learn"
        assert self.optimizer is not None
        chance = draw(self.config, (self.hare, self.tortoise), replay.generator, self._learning)
        batch, states = self._look(self.config, replay, self._first, self.clocks, chance)
        passes: list[Objective] = []

        def loss() -> Tensor:
            with casting(self.execution, self.device):
                aim = passes[0].aim if passes else None
                found = self._objective(self.config, (self.hare, self.tortoise), batch, states, chance.noise, aim)
            passes.append(found._replace(loss=found.loss.detach()))
            return found.loss

        norm = self._step(loss, [self.optimizer], self.hare.clipped_together())
        self._note(self._tally, replay, batch.index, passes[0], norm)
        self.upkeep.at_update(states[0])
        return states[0]

    def _anneal_target_(self) -> None:
        """Set n and gamma for the next update."""
        n, gamma = annealed(self.config.target, self.updates - self.upkeep.restarted)
        self._n.fill_(n)
        self._gamma.fill_(gamma)

    def broken(self) -> int | None:
        """The number of the first update whose loss was not finite, or None. Waits for the device."""
        return self._tally.broken(self.updates)

    def metrics(self) -> dict[str, float]:
        """Mean of each measured quantity over the updates since the last call, empty if none was made. Waits for the device."""
        means = self._tally.means(self.updates)
        if means and self.config.prediction is None:
            del means["spr_loss"]
        if means and self.config.renews:
            means["recycled"] = float(self.upkeep.recycled)  # units, since the start
        return means

    @property
    def _generators(self) -> dict[str, torch.Generator]:
        return {"fresh": self._fresh, "learning": self._learning, "acting": self._acting}

    def state_dict(self) -> dict[str, object]:
        """Everything that later behaviour depends on, as tensors and plain values."""
        return {
            "hare": self.hare.state_dict(),
            "tortoise": self.tortoise.state_dict(),
            "origin": self._origin,
            "optimizer": self.optimizer.state_dict() if self.optimizer is not None else None,
            "generators": {name: generator.get_state() for name, generator in self._generators.items()},
            "updates": self.updates,
            "resets": self.resets,
            "restarted": self.upkeep.restarted,
            "epsilon": self.epsilon,
            "beta": self._beta,
            "recycled": self.upkeep.recycled,
            "upkeep": self.upkeep.state_dict(),
            "tally": self._tally.state_dict(),
        }

    def load_state_dict(self, state: dict, streams: bool = True) -> None:
        """Take over what `state_dict` gave; without the random `streams` also on another type of device, which has others."""
        before = state.get("injected", (False, False))  # where it stood before it was a network's own
        for name, network, injected in zip(("hare", "tortoise"), (self.hare, self.tortoise), before, strict=True):
            network.load_state_dict({"_extra_state": torch.tensor(injected)} | state[name])
        if self._origin != state["origin"]:  # the initial weights are not stored: their seed is
            self._origin = state["origin"]
            self._fresh.manual_seed(self._origin)
            self.upkeep.remember_initial_(self._new_network())
        if self.optimizer is not None:
            ways = [{way: group[way] for way in WAYS} for group in self.optimizer.param_groups]
            self.optimizer.load_state_dict(deepcopy(state["optimizer"]))  # torch would keep some of these tensors
            for group, way in zip(self.optimizer.param_groups, ways, strict=True):
                group.update(way)
        for name, generator in self._generators.items() if streams else ():
            generator.set_state(state["generators"][name])
        self.updates, self.epsilon = state["updates"], state["epsilon"]
        self.upkeep.load_counts(state["resets"], state["restarted"], state["recycled"])
        if "upkeep" in state:
            self.upkeep.load_state_dict(state["upkeep"])
        self._beta.copy_(state["beta"])
        self._tally.load_state_dict(state["tally"])
        self._graphs.clear()  # they hold the moments that the optimizer had
        self._anneal_target_()
