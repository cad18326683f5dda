"""The learner: a hare that is trained task after task, the tortoise that may follow it, and what is planned between them."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hare_tortoise.network import check
from hare_tortoise.step import GradientStep, build_optimizer, output_penalty
from hare_tortoise.upkeep import Upkeep
from supervised.models import Classifier
from supervised.settings import Config

MEASURED = ("loss", "batch_accuracy", "gradient_norm")  # means over the updates since `metrics` was last asked


class Learner:
    """Learns, and resets, as `config` says. Knows no data set and no file.

    `update` reads nothing on the host; only `metrics` waits for the device. Batch normalisation: its running means and
    variances are averaged and reset like weights, its counters are copied; `docs/decisions.md` says why.
    """

    def __init__(
        self, config: Config, shape: tuple[int, int, int], device: torch.device | str, seed: int, planned: int | None = None
    ) -> None:
        """`shape` is channels and side of the images, and the number of classes; `planned` updates of all tasks, if known."""
        self.config = config
        self.device = torch.device(device)
        self.shape = shape
        seeds = torch.Generator().manual_seed(seed)
        draw = torch.randint(2**62, (2,), generator=seeds).tolist()
        self._fresh = torch.Generator().manual_seed(draw[0])  # on the CPU: the same weights on every device
        self.learning = torch.Generator(self.device).manual_seed(draw[1])  # order of images, augmentation, dropout
        check(self._build())
        self.hare = self._new_network()
        self.optimizer = build_optimizer(config.optimizer, self.hare)
        self._upkeep = Upkeep(self.hare, self.optimizer, self._new_network, config.plans(planned))
        self.initial = self._upkeep.initial.train()
        self.tortoise = self._upkeep.pair.tortoise if config.tortoise is not None else None
        self._step = GradientStep(self.hare, self.initial, config.optimizer, config.penalties)
        self.hare.draw_from_(self.learning)
        self.updates = 0  # over all tasks
        self.tasks = 0  # begun
        self.precision = torch.float32
        self._length, self._done = 0, 0  # updates of the task, planned and made
        self._sums = torch.zeros(len(MEASURED), device=self.device)
        self._counted = 0  # updates in the sums

    def _build(self) -> Classifier:
        with torch.random.fork_rng(devices=[]):  # modules draw from the global generator when they are made
            return Classifier(self.config.network, *self.shape)

    def _new_network(self) -> Classifier:
        network = self._build()
        network.initialise_(self._fresh)
        return network.to(self.device, memory_format=torch.channels_last)

    @property
    def resets(self) -> int:
        """How many there were."""
        return self._upkeep.pair.resets

    def _renew_optimizer(self) -> None:
        self.optimizer = self._upkeep.pair.optimizer = build_optimizer(self.config.optimizer, self.hare)

    def begin_task_(self, length: int) -> None:
        """Begin a task of `length` updates: with a new optimizer, and a reset if one is planned between tasks."""
        resets = self.config.resets
        if resets is not None and resets.every is None and self.tasks > 0:
            early, enough = self.updates < resets.start, self.resets == resets.times
            if not (early or enough):
                self._upkeep.reset(resets, self.updates)
        self._renew_optimizer()
        self._length, self._done = length, 0
        self.tasks += 1

    def update(self, x: Tensor, labels: Tensor) -> None:
        """One gradient step on images `x`, float32 [M, C, H, W], with `labels`, int64 [M]."""
        self._set_learning_rate()
        with torch.no_grad():
            taught = self._logits(self.tortoise, x) if self.config.distillation is not None else None
        passes: list[tuple[Tensor, Tensor]] = []

        def loss() -> Tensor:
            logits = self._logits(self.hare, x)
            passes.append((objective(self.config, logits, labels, taught), logits))
            return passes[-1][0]

        norm = self._step(loss, [self.optimizer])
        with torch.no_grad():
            value, logits = passes[0]
            self._sums += torch.stack((value.detach(), (logits.argmax(1) == labels).float().mean(), norm))
        self.updates, self._done, self._counted = self.updates + 1, self._done + 1, self._counted + 1

    def _logits(self, network: Classifier | None, x: Tensor) -> Tensor:
        """float32 [M, classes], whatever the precision of the products."""
        assert network is not None
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits: Tensor = network(x)
        return logits.float()

    def change_weights_(self, x: Tensor) -> None:
        """What is planned behind the last update, by what units do on images `x`, float32 [M, C, H, W] (`Upkeep`).

        Apart from `update`, so that a look at the hare between the two finds what was learnt, not what has just been changed.
        """
        self._upkeep.at_update(x)
        self._upkeep.after_update(self.updates, x)

    def _set_learning_rate(self) -> None:
        """Rise linearly over the first updates of the task, then stay."""
        o = self.config.optimizer
        rising = o.warmup * self._length
        rate = o.learning_rate * min(1.0, (self._done + 1) / rising) if rising >= 1 else o.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def metrics(self) -> dict[str, float]:
        """Means of what updates measured since this was last asked. Waits for the device."""
        means = (self._sums / max(self._counted, 1)).tolist()
        self._sums.zero_()
        self._counted = 0
        counts = {"resets": self.resets, "recycled": int(self._upkeep.recycled)}
        return {**dict(zip(MEASURED, means, strict=True)), **counts}

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
            "recycled": self._upkeep.recycled,
            "upkeep": self._upkeep.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, for a learner of the same configuration and seed."""
        self.hare.load_state_dict(state["hare"])
        if self.tortoise is not None:
            self.tortoise.load_state_dict(state["tortoise"])
        self._renew_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        for generator, value in zip((self._fresh, self.learning), state["generators"], strict=True):
            generator.set_state(value.cpu())
        self.updates, self.tasks, resets, self._length, self._done, self._counted = state["counts"]
        self._upkeep.load_counts(resets, 0, state["recycled"])
        if "upkeep" in state:
            self._upkeep.load_state_dict(state["upkeep"])
        self._sums.copy_(state["sums"])


def objective(config: Config, logits: Tensor, labels: Tensor, taught: Tensor | None = None) -> Tensor:
    """The loss, float32 [], of `logits`, float32 [M, K], for `labels`, int64 [M]; `taught` are the tortoise's logits.

    The squared distance to the initial weights is not in it: its gradient is added afterwards.
    """
    assert labels.shape == logits.shape[:-1]
    loss = functional.cross_entropy(logits, labels) + output_penalty(logits, config.penalties.logits)
    if config.distillation is not None:
        assert taught is not None
        assert taught.shape == logits.shape
        t = config.distillation.temperature
        log_probs, target = (logits / t).log_softmax(1), (taught / t).log_softmax(1)
        divergence = functional.kl_div(log_probs, target, reduction="batchmean", log_target=True)  # summed over the classes
        loss = loss + config.distillation.weight * t**2 * divergence
    return loss
