"""Train a network on one task after another, and measure what it comes to.

    python -m supervised.train --study warm_start --dataset cifar10 --model resnet18 --method ht --seed 0
    python -m supervised.train --method help

The same command continues a run that was interrupted, to the bit.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
from experiment.command import run
from supervised.options import Run, main

if __name__ == "__main__":
    run(main)  # reads the command line; where there is something to train, it imports this file, and torch with it

from typing import Any

import torch

from experiment.command import UserError, say
from experiment.progress import Progress
from experiment.session import Session
from hare_tortoise.idle import idle
from supervised.data import Batches, load
from supervised.learner import Learner
from supervised.measures import SIZE, accuracies, measure
from supervised.sources import SOURCES
from supervised.splits import binds, hold_out, task_images, task_labels

TRAIN_IMAGES = 5_000  # of a task, at most, for its accuracy on what it was trained with


class Training:
    """What a run trains: the learner, and the tasks it is given."""

    def __init__(self, asked: Run, device: torch.device) -> None:
        """UserError if the data set is absent, or if there are too few images."""
        self.asked, self.device, self.source = asked, device, SOURCES[asked.dataset]
        protocol, batch_size = asked.config.protocol, asked.config.optimizer.batch_size
        self._choose_images()
        sizes = [len(task_images(protocol, len(self.chosen), task, asked.seed)) for task in protocol.tasks]
        if 0 in sizes:
            raise UserError(f"{len(self.chosen)} images are too few for --protocol.shares: a task has none")
        epochs = [protocol.epochs(task) for task in protocol.tasks]
        self.lengths = [n * -(-size // batch_size) for n, size in zip(epochs, sizes, strict=True)]  # updates of each task
        shape = (self.source.channels, self.source.side, self.source.classes)
        self.learner = Learner(asked.config, shape, device, asked.seed, sum(self.lengths))
        for line in idle(asked.config.plans(sum(self.lengths)), sum(self.lengths), len(self.lengths)):
            say(f"note: {line}")
        self.learner.precision = getattr(torch, asked.precision)
        self.position, self.done = 0, 0  # which of the tasks, and updates made in it
        self.batches: Batches | None = None  # of the task that is under way
        self.finals: list[dict[str, Any]] = []  # the last row of each task that is over

    def _choose_images(self) -> None:
        """Load the data set; which of its images the run trains with, and which it is measured on."""
        asked, protocol = self.asked, self.asked.config.protocol
        data = load(asked.dataset, asked.data_dir, self.device)
        total = len(data.labels)
        if (asked.images or 1) + protocol.held_out > total:
            flags = {"--images": asked.images, "--protocol.held-out": protocol.held_out}
            given = " and ".join(f"{flag} {value}" for flag, value in flags.items() if value)
            raise UserError(f"{given}: {asked.dataset} has {total:,}, and a task needs one at least")
        self.chosen, held_out = hold_out(total, asked.images, protocol.held_out, asked.seed)
        self.labels = data.labels.numpy(force=True)[self.chosen]
        if len(held_out):
            where = torch.from_numpy(held_out).to(self.device)
            data = data._replace(test_images=data.images[where], test_labels=data.labels[where])
        self.data = data
        if protocol.memory is not None and not binds(protocol, len(self.chosen)):
            say(f"--protocol.memory {protocol.memory} holds all old ones of {len(self.chosen):,} images")

    @property
    def time(self) -> int:
        """Updates so far, over all tasks."""
        return self.learner.updates

    def learn(self, session: Session) -> None:
        """The loop; it saves and ends early if it has to stop. DivergenceError if a loss is not finite."""
        asked, learner = self.asked, self.learner
        label = f"{asked.method} {asked.study} {asked.dataset} seed {asked.seed}"
        progress = Progress(label, sum(self.lengths), "updates", sum(self.lengths[: self.position]) + self.done)
        while self.position < len(self.lengths):
            length = self.lengths[self.position]
            if self.batches is None:
                self.batches = self._batches_of(self.position)
                learner.begin_task_(length)
            x, labels = self.batches.draw(asked.config.augmentation, learner.learning)
            learner.update(x, labels)
            self.done += 1
            progress.advance(1)
            due = self.done * asked.evaluations // length > (self.done - 1) * asked.evaluations // length
            row = self._measure_hare(session) if due else {}
            learner.change_weights_(x)
            if due:
                self._evaluate(row, session, progress)
            over, stopping = self.done == length, session.stopping
            if over:
                self.position, self.done, self.batches = self.position + 1, 0, None
            if over or stopping or learner.updates % asked.checkpoint_every == 0:
                session.save()
            if stopping:
                break
        progress.close()

    def _batches_of(self, position: int) -> Batches:
        """The images of a task, with the labels it gives them."""
        asked, protocol = self.asked, self.asked.config.protocol
        task = protocol.tasks[position]
        images = self.chosen[task_images(protocol, len(self.chosen), task, asked.seed)]
        labels = task_labels(protocol, self.labels, self.source.classes, task, asked.seed)
        where, given = torch.from_numpy(images).to(self.device), torch.from_numpy(labels).to(self.device)
        return Batches(self.data, where, given, asked.config.optimizer.batch_size)

    def _measure_hare(self, session: Session) -> dict[str, Any]:
        """The hare before its weights are changed: a row of metrics but for what `_evaluate` adds."""
        session.require_finite()
        asked, learner = self.asked, self.learner
        row = {"task": asked.config.protocol.tasks[self.position], "task_update": self.done}
        images, labels = self.batches.sample(SIZE)
        measured = measure(learner, self.data.prepare(images), labels, asked.hessian_rounds)
        hare = accuracies("hare", learner.hare, self.data, *self.batches.sample(TRAIN_IMAGES))
        return row | hare | learner.metrics() | measured

    def _evaluate(self, row: dict[str, Any], session: Session, progress: Progress) -> None:
        """Complete a row of metrics by the tortoise as it is now, and show the line that a person sees."""
        asked, learner = self.asked, self.learner
        if learner.tortoise is not None:
            row |= accuracies("tortoise", learner.tortoise, self.data, *self.batches.sample(TRAIN_IMAGES))
        row["test"] = row[f"test_{asked.config.judged}"]
        clock = {"seconds": round(session.seconds, 2), "updates_per_second": round(progress.speed, 2)}
        session.metrics.log("evaluation", self.time, {**row, "clock": clock})
        progress.note({name: row[name] for name in ("task", "test", f"train_{asked.config.judged}", "loss")})
        if self.done == self.lengths[self.position]:
            self.finals.append({"update": self.time, **row})

    film = None  # there are no games

    def diverged(self) -> tuple[str, int] | None:
        """Whether a loss was not finite: in words, and after how many updates that is known."""
        return (f"a loss before update {self.time}", self.time) if self.learner.broken() else None

    def score(self, session: Session) -> dict[str, Any]:
        """The run's accuracy, and the last row of each task."""
        names = ("study", "point", "dataset", "model", "method", "seed", "images")
        about = {name: getattr(self.asked, name) for name in names}
        return {**about, "test": self.finals[-1]["test"], "judged": self.asked.config.judged, "tasks": self.finals}

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "learner": self.learner.state_dict(),
            "position": self.position,
            "done": self.done,
            "batches": self.batches.state_dict() if self.batches is not None else None,
            "finals": self.finals,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.learner.load_state_dict(state["learner"])
        self.position, self.done, self.finals = state["position"], state["done"], state["finals"]
        if state["batches"] is not None:
            self.batches = self._batches_of(self.position)
            self.batches.load_state_dict(state["batches"])

    def close(self) -> None:
        """There is nothing to close."""
