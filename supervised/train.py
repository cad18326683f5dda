"""Train a network on one task after another, and measure what it comes to.

    python -m supervised.train --study warm_start --dataset cifar10 --model resnet18 --method hare_tortoise --seed 0
    python -m supervised.train --method help

The same command continues a run that was interrupted, to the bit. torch is imported only once the command line has been read
and found good; all else before anything is trained, so that the run is of one state of the code, whatever is edited meanwhile.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from experiment.command import DivergenceError, UserError, run, say
from experiment.folder import CHECKPOINT, METRICS, RunFolder, kept_checkpoint
from experiment.metrics import Metrics
from experiment.mirror import mirrored, require_key
from experiment.progress import Progress
from experiment.provenance import commit_at_start, moved, provenance
from experiment.signals import Signals
from supervised.options import Run, read_command_line
from supervised.sources import SOURCES
from supervised.splits import binds, hold_out, task_images, task_labels

if TYPE_CHECKING:
    from supervised.data import Batches

TRAIN_IMAGES = 5_000  # of a task, at most, for its accuracy on what it was trained with


class Training:
    """A run under way: the data, the learner, and what is written down."""

    def __init__(self, asked: Run, folder: RunFolder) -> None:
        """UserError if the device or the data set is absent, or if there are too few images."""
        import torch

        import experiment.checkpoint  # noqa: F401  for later
        import supervised.measures  # noqa: F401
        from experiment.device import choose_device, device_name, keep_freed_memory
        from supervised.data import load
        from supervised.learner import Learner

        keep_freed_memory()
        device = choose_device(asked.device)
        self.asked, self.folder, self.device = asked, folder, device_name(device)
        self.source = SOURCES[asked.dataset]
        self.data = load(asked.dataset, asked.data_dir, device)
        total, c = len(self.data.labels), asked.config
        if (asked.images or 1) + c.protocol.held_out > total:
            flags = {"--images": asked.images, "--protocol.held-out": c.protocol.held_out}
            told = " and ".join(f"{flag} {value}" for flag, value in flags.items() if value)
            raise UserError(f"{told}: {asked.dataset} has {total:,}, and a task needs one at least")
        self.chosen, held_out = hold_out(total, asked.images, c.protocol.held_out, asked.seed)
        self.labels = self.data.labels.numpy(force=True)[self.chosen]
        if len(held_out):
            where = torch.from_numpy(held_out).to(device)
            self.data = self.data._replace(test_images=self.data.images[where], test_labels=self.data.labels[where])
        if c.protocol.memory is not None and not binds(c.protocol, len(self.chosen)):
            say(f"--protocol.memory {c.protocol.memory} holds all old ones of {len(self.chosen):,} images")
        sizes = [len(task_images(c.protocol, len(self.chosen), task, asked.seed)) for task in c.protocol.tasks]
        if 0 in sizes:
            raise UserError(f"{len(self.chosen)} images are too few for --protocol.shares: a task has none")
        epochs = [c.protocol.epochs(task) for task in c.protocol.tasks]
        self.lengths = [n * -(-size // c.optimizer.batch_size) for n, size in zip(epochs, sizes, strict=True)]
        self.learner = Learner(c, (self.source.channels, self.source.side, self.source.classes), device, asked.seed)
        self.learner.precision = getattr(torch, asked.precision)
        self.position, self.done = 0, 0  # which of the tasks, and updates made in it
        self.pending: dict[str, Any] | None = None  # the state of the batches of an interrupted task
        self.finals: list[dict[str, Any]] = []  # the last row of each task that is over
        self.started = time.monotonic()

    def learn(self, metrics: Metrics, signals: Signals) -> None:
        """The loop; it saves and ends early if `signals` ask for it. DivergenceError if a loss is not finite."""
        asked, learner = self.asked, self.learner
        label = f"{asked.method} {asked.study} {asked.dataset} seed {asked.seed}"
        done = sum(self.lengths[: self.position]) + self.done
        progress = Progress(label, sum(self.lengths), "updates", done)
        while self.position < len(self.lengths):
            length = self.lengths[self.position]
            batches = self._batches()
            if self.pending is not None:
                batches.load_state_dict(self.pending)
                self.pending = None
            else:
                learner.begin_task_(length)
            while self.done < length:
                x, given = batches.draw(asked.config.augmentation, learner.learning)
                learner.update(x, given)
                self.done += 1
                progress.advance(1)
                due = self.done * asked.evaluations // length > (self.done - 1) * asked.evaluations // length
                row = self._look(batches, metrics) if due else {}
                learner.change_weights_(x)
                if due:
                    self._evaluate(row, batches, metrics, progress)
                if self.done < length and (learner.updates % asked.checkpoint_every == 0 or signals.asked):
                    self._save(metrics, batches)
                    if signals.asked:
                        return
            self.position, self.done = self.position + 1, 0
            self._save(metrics, None)
            if signals.asked:
                return
        progress.close()

    def _batches(self) -> "Batches":
        """The images of the task that is under way, with the labels it gives them."""
        import torch

        from supervised.data import Batches

        asked, protocol = self.asked, self.asked.config.protocol
        task = protocol.tasks[self.position]
        images = self.chosen[task_images(protocol, len(self.chosen), task, asked.seed)]
        labels = task_labels(protocol, self.labels, self.source.classes, task, asked.seed)
        device = self.learner.device
        where, given = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
        return Batches(self.data, where, given, asked.config.optimizer.batch_size)

    def _look(self, batches: "Batches", metrics: Metrics) -> dict[str, Any]:
        """What is found of the hare before its weights are changed: a row of metrics but for the tortoise."""
        from supervised.measures import SIZE, accuracies, measure

        self._require_finite(metrics)
        asked, learner = self.asked, self.learner
        row = {"task": asked.config.protocol.tasks[self.position], "task_update": self.done}
        images, labels = batches.sample(SIZE)
        measured = measure(learner, self.data.prepare(images), labels, asked.hessian_rounds, asked.seed)
        found = accuracies("hare", learner.hare, self.data, *batches.sample(TRAIN_IMAGES))
        return row | found | learner.metrics() | measured

    def _evaluate(self, row: dict[str, Any], batches: "Batches", metrics: Metrics, progress: Progress) -> None:
        """Complete a row of metrics by the tortoise as it is now, and show the line that a person sees."""
        from supervised.measures import accuracies

        asked, learner = self.asked, self.learner
        if learner.tortoise is not None:
            row |= accuracies("tortoise", learner.tortoise, self.data, *batches.sample(TRAIN_IMAGES))
        row["test"] = row[f"test_{asked.config.judged}"]
        clock = {"seconds": round(time.monotonic() - self.started, 2), "updates_per_second": round(progress.speed, 2)}
        metrics.log("evaluation", learner.updates, {**row, "clock": clock})
        progress.note({name: row[name] for name in ("task", "test", f"train_{asked.config.judged}", "loss")})
        if self.done == self.lengths[self.position]:
            self.finals.append({"update": learner.updates, **row})

    def _require_finite(self, metrics: Metrics) -> None:
        """DivergenceError if a loss was not finite: what comes of it must not take a checkpoint's place."""
        if self.learner.broken():
            updates, kept = self.learner.updates, kept_checkpoint(self.folder.path)
            metrics.log("diverged", updates, {})  # for whoever looks at many runs
            raise DivergenceError(f"a loss before update {updates} is not finite; {kept}")

    def _save(self, metrics: Metrics, batches: "Batches | None") -> None:
        """Write a checkpoint; `batches` None after a task."""
        import torch

        from experiment.checkpoint import save_checkpoint

        self._require_finite(metrics)
        state = {
            "settings": json.loads(json.dumps(self.asked.identity())),
            "learner": self.learner.state_dict(),
            "position": self.position,
            "done": self.done,
            "batches": batches.state_dict() if batches is not None else None,
            "finals": self.finals,
            "seconds": time.monotonic() - self.started,
            "metrics": metrics.mark(),
            "device": self.learner.device.type,
            "threads": torch.get_num_threads(),
        }
        save_checkpoint(self.folder.path / CHECKPOINT, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `_save` saved. UserError if it is of another run."""
        from experiment.device import keep_threads, require_same_type

        self.folder.require_own(state["settings"], self.asked.identity(), Run)
        require_same_type(state.get("device"), self.learner.device)
        self.device = keep_threads(state, self.learner.device)
        self.learner.load_state_dict(state["learner"])
        self.position, self.done, self.pending = state["position"], state["done"], state["batches"]
        self.finals = state["finals"]
        self.started -= state["seconds"]

    def score(self) -> dict[str, Any]:
        """Write score.json: the run's accuracy, and the last row of each task; what it holds."""
        names = ("study", "point", "dataset", "model", "method", "seed", "images")
        result = {
            **{name: getattr(self.asked, name) for name in names},
            "test": self.finals[-1]["test"],
            "judged": self.asked.config.judged,
            "tasks": self.finals,
            "hours": round((time.monotonic() - self.started) / 3600, 4),
            "commit": commit_at_start(),
            **(moved() | self.folder.commits()),
            "device": self.device,
        }
        self.folder.write_score(result)
        return result


def main(argv: list[str]) -> None:
    """Run what the command line asks for."""
    asked = read_command_line(argv)
    with Signals() as signals, RunFolder(asked.folder) as folder:
        result = None if asked.fresh else folder.check(asked.identity(), Run)
        if result is not None:
            say(folder.finished(result))
        else:
            result = carry_out(asked, folder, signals)
    held = asked.config.protocol.held_out
    on = f"accuracy on {held:,} held-out images" if held else "test accuracy"
    told = f"{on} {result['test']:.4f} ({asked.folder})"
    say(f"{asked.method}, {asked.study} on {asked.dataset}: {told}", sys.stdout)


def carry_out(asked: Run, folder: RunFolder, signals: Signals) -> dict[str, Any]:
    """Train, from the last checkpoint on if there is one; what score.json holds."""
    made, kept = provenance(("torch", "numpy")), 0  # the commit is taken before more of the code is read
    if asked.wandb == "online":
        require_key()
    training = Training(asked, folder)
    if folder.checkpoint is not None and not asked.fresh:
        from experiment.checkpoint import load_checkpoint

        state = load_checkpoint(folder.checkpoint, "cpu")
        training.restore(state)
        kept = state["metrics"]
        folder.go_on(asked.identity(), made | {"device": training.device, "update": training.learner.updates})
    else:
        folder.begin(asked.identity(), made | {"device": training.device})
    name = "-".join(map(str, (asked.method, asked.study, asked.point, asked.dataset, asked.model, asked.seed)))
    where = {"project": "hare-and-tortoise-supervised", "name": name}
    metrics = Metrics(folder.path / METRICS, mirrored(asked.wandb, where, folder, asked.identity()), kept, clock="update")
    try:
        with signals.patient():
            training.learn(metrics, signals)
        return training.score()
    finally:
        metrics.close()


if __name__ == "__main__":
    run(main)
