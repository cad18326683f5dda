"""The life of a run from the moment its code is loaded, the same for agents and classifiers: begin or go on, save, finish."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import torch

from experiment.checkpoint import DamagedError, load_checkpoint, save_checkpoint
from experiment.command import DivergenceError, UserError, say
from experiment.device import choose_device, device_name, keep_freed_memory, keep_threads, peak_memory, require_same_type
from experiment.folder import CHECKPOINT, FILM, METRICS, RunFolder, kept_checkpoint
from experiment.metrics import Metrics
from experiment.on_tensorboard import TensorBoard
from experiment.on_wandb import WandbRun, arguments_of
from experiment.provenance import commit_at_start, moved
from experiment.signals import Signals
from experiment.start import Asked


class Training(Protocol):
    """What a session needs of the `Training` of train.py or of supervised/train.py, where each of these is described."""

    asked: Asked  # with all that was left to it decided
    time: int  # how far it is, by the clock of its run
    learn: Callable[["Session"], None]
    score: Callable[["Session"], dict[str, Any] | None]  # None without an evaluation
    film: Callable[[Path], object] | None  # films a game, where there are games; UserError if that fails
    diverged: Callable[[], tuple[str, int] | None]  # which loss was not finite, and its update
    state_dict: Callable[[], dict[str, Any]]
    load_state_dict: Callable[[dict[str, Any]], None]
    close: Callable[[], None]


class Session:
    """What one process does of a run. Its loop writes to `metrics`, calls `save` and looks at `stopping`."""

    metrics: Metrics

    def __init__(self, asked: Asked, folder: RunFolder, signals: Signals, made: dict[str, Any]) -> None:
        """`folder` is this process's; `made` tells how it makes the run (`provenance`). UserError if the device is absent."""
        keep_freed_memory()
        self.asked, self.folder, self._signals, self._made = asked, folder, signals, made
        self.device = choose_device(self.asked.device)
        self._device_name = device_name(self.device)

    def carry_out(self, kind: Callable[[Any, torch.device], Training]) -> dict[str, Any] | None:
        """Make a training of this `kind`, train, from the last checkpoint on if there is one, and write the score.

        What score.json holds; None without an evaluation.
        """
        state = self._kept()
        with closing(kind(self.asked, self.device)) as training:
            self.asked = training.asked
            self.begin(training, state)
            with closing(self.metrics):
                with self._signals.patient():
                    training.learn(self)
                hours = {"hours": round(self.seconds / 3600, 4)}
                score = training.score(self)
                if score is None:
                    return None
                whole = self._finish(score | hours | {"memory_gb": round(peak_memory(self.device), 3)})
                self._show(whole)
                return whole

    def _kept(self) -> dict[str, Any] | None:
        """The last checkpoint, None if the run begins. UserError if it is of another run or type of device.

        What is auto is from now on as it was chosen there.
        """
        if self.folder.checkpoint is None or self.asked.fresh:
            return None
        try:
            state = load_checkpoint(self.folder.checkpoint)
        except DamagedError as error:
            raise UserError(f"{error}; --fresh starts the run over") from error
        self.asked = self.asked.going_on(state["settings"])
        self.folder.require_own(state["settings"], self.asked.identity(), type(self.asked))
        require_same_type(state.get("device"), self.device)
        return state

    def begin(self, training: Training, state: dict[str, Any] | None = None) -> None:
        """Begin, or go on from the checkpoint `state`. UserError if games do not repeat, before anything is changed."""
        self._training, settings = training, self.asked.identity()
        kept, seconds = 0, 0.0
        if state is not None:
            self._device_name = keep_threads(state, self.device)
            training.load_state_dict(state)
            kept, seconds = state["metrics"], state["seconds"]
            self.folder.go_on(settings, self._made | {"device": self._device_name, self.asked.clock: training.time})
        else:
            self.folder.begin(settings, self._made | {"device": self._device_name})
        self.metrics = Metrics(self.folder.path / METRICS, kept, self.asked.clock)
        self._begin_mirrors(settings)
        self._began = time.monotonic() - seconds

    def _begin_mirrors(self, settings: dict[str, Any]) -> None:
        """Let the viewers that are asked for show the metrics."""
        asked, mirrors = self.asked, self.metrics.mirrors
        if asked.tensorboard:
            mirrors.append(TensorBoard(self.folder.path / METRICS, asked.clock, settings))
        if asked.wandb != "off":
            mirrors.append(WandbRun(arguments_of(asked.wandb, asked.mirror(), self.folder, settings), asked.clock))

    @property
    def seconds(self) -> float:
        """How long the run has learnt, over all its processes."""
        return time.monotonic() - self._began

    @property
    def stopping(self) -> bool:
        """Whether a signal asks for the end: the loop saves and returns."""
        return self._signals.asked is not None

    def require_finite(self) -> None:
        """DivergenceError if a loss was not finite: what comes of it must not take a checkpoint's place."""
        if (diverged := self._training.diverged()) is not None:
            loss, update = diverged
            self.metrics.log("diverged", self._training.time, {"update": update})  # for whoever looks at many runs
            raise DivergenceError(f"{loss} is not finite; {kept_checkpoint(self.folder.path)}")

    def save(self) -> None:
        """Write a checkpoint. DivergenceError instead if a loss was not finite."""
        self.require_finite()
        state = {
            **self._training.state_dict(),
            "settings": json.loads(json.dumps(self.asked.identity())),
            "seconds": self.seconds,
            "metrics": self.metrics.mark(),
            "device": self.device.type,
            "threads": torch.get_num_threads(),
            "versions": self._made["versions"],
        }
        save_checkpoint(self.folder.path / CHECKPOINT, state)

    def _finish(self, score: dict[str, Any]) -> dict[str, Any]:
        """Write `score`, with the commits and the device that it is of; the whole of it."""
        commits = {"commit": commit_at_start(), **moved(), **self.folder.commits()}
        whole = {**score, **commits, "device": self._device_name}
        self.folder.write_score(whole)
        return whole

    def _show(self, score: dict[str, Any]) -> None:
        """Let the viewers show the numbers of `score`, and a film where one of them shows films."""
        films = any(mirror.on and mirror.films for mirror in self.metrics.mirrors)
        film = self._filmed() if films and self._training.film is not None else None
        numbers = {name: value for name, value in score.items() if isinstance(value, int | float)}
        for mirror in self.metrics.mirrors:
            mirror.conclude(numbers, film)

    def _filmed(self) -> Path | None:
        """The film of a game; None, with a note, if there can be none. The score is written by then."""
        path = self.folder.path / FILM
        try:
            self._training.film(path)
        except UserError as error:
            if self._signals.asked is not None:  # it is a signal's, which ends the program
                raise
            say(f"note: no film is shown: {error}")
            return None
        return path
