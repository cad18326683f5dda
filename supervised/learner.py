"""The learner: a hare that is trained task after task, the tortoise that may follow it, and what is planned between them."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from networks.recycle import renew_
from networks.weights import ema_, pull_gradient_, reset_, zero_moments_
from supervised.measures import dormant_units
from supervised.models import Classifier
from supervised.settings import Config, Resets

MEASURED = ("loss", "batch_accuracy", "gradient_norm")  # means over the updates since `metrics` was last asked


class Learner:
    """Learns, and resets, as `config` says. Knows no data set and no file.

    `update` reads nothing on the host; only `metrics` waits for the device. Batch normalisation: its running means and
    variances are averaged and reset like weights, its counters are copied; `docs/decisions.md` says why.
    """

    def __init__(self, config: Config, shape: tuple[int, int, int], device: torch.device | str, seed: int) -> None:
        """`shape` is channels and side of the images, and the number of classes."""
        self.config = config
        self.device = torch.device(device)
        self.shape = shape
        seeds = torch.Generator().manual_seed(seed)
        draw = torch.randint(2**62, (2,), generator=seeds).tolist()
        self._fresh = torch.Generator().manual_seed(draw[0])  # on the CPU: the same weights on every device
        self.learning = torch.Generator(self.device).manual_seed(draw[1])  # order of images, augmentation, dropout
        self.hare = self._new_network()
        self.initial = deepcopy(self.hare).requires_grad_(False)
        self.tortoise = deepcopy(self.initial).eval() if config.tortoise is not None else None
        self.hare.draw_from_(self.learning)
        self.updates = 0  # over all tasks
        self.tasks = 0  # begun
        self.resets = 0
        self.precision = torch.float32
        self._length, self._done = 0, 0  # updates of the task, planned and made
        self._sums = torch.zeros(len(MEASURED), device=self.device)
        self._counted = 0  # updates in the sums
        self._recycled = torch.zeros((), dtype=torch.int64, device=self.device)  # units, since the start
        self.optimizer = self._new_optimizer()

    def _new_network(self) -> Classifier:
        with torch.random.fork_rng(devices=[]):  # modules draw from the global generator when they are made
            network = Classifier(self.config.network, *self.shape)
        network.initialise_(self._fresh)
        return network.to(self.device, memory_format=torch.channels_last)

    def _new_optimizer(self) -> torch.optim.AdamW:
        o = self.config.optimizer
        parameters = list(self.hare.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim != 1], "weight_decay": o.weight_decay},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=o.learning_rate, betas=(o.beta1, o.beta2), eps=o.epsilon, fused=True)

    def begin_task_(self, length: int) -> None:
        """Begin a task of `length` updates: with a new optimizer, and a reset if one is planned between tasks."""
        resets = self.config.resets
        if resets is not None and resets.every is None and self.tasks > 0:
            self._reset(resets)
        self.optimizer = self._new_optimizer()
        self._length, self._done = length, 0
        self.tasks += 1

    def update(self, x: Tensor, labels: Tensor) -> None:
        """One gradient step on images `x`, float32 [M, C, H, W], with `labels`, int64 [M]."""
        c = self.config
        self._set_learning_rate()
        taught = self._tortoise_says(x) if c.distillation is not None else None
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.hare(x)
        logits = logits.float()
        loss = objective(c, logits, labels, taught)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if c.penalties.initial:
            pull_gradient_(list(self.hare.parameters()), list(self.initial.parameters()), c.penalties.initial)
        clip = c.optimizer.clip if c.optimizer.clip is not None else float("inf")
        norm = nn.utils.clip_grad_norm_(self.hare.parameters(), clip, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            self._sums += torch.stack((loss.detach(), (logits.argmax(1) == labels).float().mean(), norm))
        self.updates, self._done, self._counted = self.updates + 1, self._done + 1, self._counted + 1

    def change_weights_(self, x: Tensor) -> None:
        """What is planned behind the last update, in this order: recycle, by what units do on images `x`, follow, reset.

        `x` float32 [M, C, H, W]. Apart from `update`, so that a look at the hare between the two finds what was learnt and not
        what has just been changed. A part of the network that the reset makes wholly new is not recycled before.
        """
        c, resets = self.config, self.config.resets
        due = resets is not None and resets.every is not None and self.updates % resets.every == 0
        if c.recycling is not None and self.updates % c.recycling.every == 0:
            self._recycle(x, resets.keep if due and resets is not None else {"body": 1.0, "head": 1.0})
        if self.tortoise is not None and c.tortoise is not None:
            ema_(_values(self.tortoise), _values(self.hare), c.tortoise.decay)
            _copy_counters_(self.tortoise, self.hare)
        if due and resets is not None:
            self._reset(resets)

    def _recycle(self, x: Tensor, keep: dict[str, float]) -> None:
        assert self.config.recycling is not None
        dormant = dormant_units(self.hare, x, self.config.recycling.tau)
        plans = [*zip(self.hare.units(), self._new_network().units(), dormant, strict=True)]
        chosen = [plan for plan in plans if keep[plan[0].part] > 0]
        if chosen:
            self._recycled += renew_(*zip(*chosen, strict=True), self.optimizer)

    @torch.no_grad()
    def _tortoise_says(self, x: Tensor) -> Tensor:
        assert self.tortoise is not None
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            return self.tortoise(x).float()

    def _set_learning_rate(self) -> None:
        """Rise linearly over the first updates of the task, then stay."""
        o = self.config.optimizer
        rising = o.warmup * self._length
        rate = o.learning_rate * min(1.0, (self._done + 1) / rising) if rising >= 1 else o.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _reset(self, resets: Resets) -> None:
        source = self.tortoise if resets.source == "tortoise" else self.initial
        source = self._new_network() if resets.source == "fresh" else source
        assert source is not None
        for part, keep in resets.keep.items():
            hare, origin = getattr(self.hare, part), getattr(source, part)
            reset_(_values(hare), _values(origin), keep)
            if keep == 0:
                _copy_counters_(hare, origin)
        if resets.moments == "zero":
            zero_moments_(self.optimizer, self.hare.parameters())
        self.resets += 1

    def metrics(self) -> dict[str, float]:
        """Means of what updates measured since this was last asked. Waits for the device."""
        means = (self._sums / max(self._counted, 1)).tolist()
        self._sums.zero_()
        self._counted = 0
        return {**dict(zip(MEASURED, means, strict=True)), "resets": self.resets, "recycled": int(self._recycled)}

    def broken(self) -> bool:
        """Whether a loss since `metrics` was last asked was not finite. Waits for the device."""
        return not bool(self._sums.isfinite().all())

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on, but the configuration and the seed, from which the learner is made."""
        return {
            "hare": self.hare.state_dict(),
            "tortoise": self.tortoise.state_dict() if self.tortoise is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "generators": [self._fresh.get_state(), self.learning.get_state()],
            "counts": [self.updates, self.tasks, self.resets, self._length, self._done, self._counted],
            "sums": self._sums,
            "recycled": self._recycled,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, for a learner of the same configuration and seed."""
        self.hare.load_state_dict(state["hare"])
        if self.tortoise is not None:
            self.tortoise.load_state_dict(state["tortoise"])
        self.optimizer = self._new_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        for generator, value in zip((self._fresh, self.learning), state["generators"], strict=True):
            generator.set_state(value.cpu())
        self.updates, self.tasks, self.resets, self._length, self._done, self._counted = state["counts"]
        self._sums.copy_(state["sums"])
        self._recycled.copy_(state["recycled"])


def objective(config: Config, logits: Tensor, labels: Tensor, taught: Tensor | None = None) -> Tensor:
    """The loss, float32 [], of `logits`, float32 [M, K], for `labels`, int64 [M]; `taught` are the tortoise's logits.

    The squared distance to the initial weights is not in it: its gradient is added afterwards.
    """
    assert labels.shape == logits.shape[:-1]
    loss = functional.cross_entropy(logits, labels)
    if config.penalties.logits:
        loss = loss + config.penalties.logits * logits.square().mean()
    if config.distillation is not None:
        assert taught is not None
        assert taught.shape == logits.shape
        t = config.distillation.temperature
        said, target = (logits / t).log_softmax(1), (taught / t).log_softmax(1)
        divergence = functional.kl_div(said, target, reduction="batchmean", log_target=True)  # summed over the classes
        loss = loss + config.distillation.weight * t**2 * divergence
    return loss


def _values(module: nn.Module) -> list[Tensor]:
    """What is averaged and reset: parameters, and the running statistics of batch normalisation."""
    return [*module.parameters(), *[b for b in module.buffers() if b.is_floating_point()]]


def _copy_counters_(module: nn.Module, source: nn.Module) -> None:
    """Copy the integers of batch normalisation."""
    for mine, its in zip(module.buffers(), source.buffers(), strict=True):
        if not mine.is_floating_point():
            mine.copy_(its)
