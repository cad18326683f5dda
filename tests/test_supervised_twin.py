"""Whole runs against a naive twin: plain PyTorch, which has only the seeds and the first weights from the project."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiment.checkpoint import load_checkpoint
from supervised import train
from supervised.learner import Learner
from supervised.options import read_command_line
from tests.supervised_files import install_fashion, pictures

SEED, BATCH, DECAY, EVERY, RATE, SHRINK = 4, 32, 0.9, 7, 1e-3, 1.0
SPLIT, NOISE = 0, 2  # the stream of a seed that chooses images, and the one that chooses wrong labels
FLAGS = [
    *("--dataset", "fashion_mnist", "--device", "cpu", "--model", "mlp", "--network.width", "16", "--protocol.passes", "2"),
    *("--seed", str(SEED), "--optimizer.weight-decay", str(SHRINK), "--optimizer.batch-size", str(BATCH)),
    *("--evaluations", "3"),
]
AVERAGE = ["--tortoise.decay", str(DECAY)]
METHODS: dict[str, list[str]] = {
    **{name: [] for name in ("none", "sp", "head", "fresh")},
    **dict.fromkeys(("ema", "fresh_ema", "distillation"), AVERAGE),
    "ht": [*AVERAGE, "--resets.every", str(EVERY)],
}


def given_tasks() -> list[tuple[Tensor, Tensor, int]]:
    """Images of each task by their places, labels, epochs: 20 images of which 10 have wrong labels, then all 200, clean."""
    true = pictures(200, 1, 28, 1)[1]
    order = np.random.default_rng([SEED, SPLIT]).permutation(200)
    rng = np.random.default_rng([SEED, NOISE, 0])
    noisy = true[order[:20]]
    wrong = rng.permutation(20)[:10]
    noisy[wrong] = (noisy[wrong] + rng.integers(1, 10, 10)) % 10
    assert (noisy != true[order[:20]]).sum() == 10
    return [(torch.tensor(order[:20]), torch.tensor(noisy), 20), (torch.tensor(order), torch.tensor(true[order]), 2)]


def twin(method: str) -> tuple[nn.Module, nn.Module, list[tuple[int, float, float]]]:
    """Hare, tortoise, and accuracies of both at each evaluation, of a run with `method`."""
    pixels, (tests, answers) = torch.tensor(pictures(200, 1, 28, 1)[0]).double(), pictures(60, 1, 28, 2)
    x, x_test = (((v - pixels.mean()) / pixels.std(correction=0)).float() for v in (pixels, torch.tensor(tests)))
    hare = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    first = Learner(read_command_line(FLAGS).config, (1, 28, 10), "cpu", SEED).hare.parameters()
    for mine, its in zip(hare.parameters(), first, strict=True):
        mine.data = its.data.clone()
    start, tortoise = deepcopy(hare), deepcopy(hare)
    seeds = torch.randint(2**62, (2,), generator=torch.Generator().manual_seed(SEED)).tolist()
    orders, updates, told = torch.Generator().manual_seed(seeds[1]), 0, []
    tasks = given_tasks()
    for images, labels, epochs in tasks[1:] if method.startswith("fresh") else tasks:
        if updates > 0 and method in ("sp", "head"):
            for i, (mine, its) in enumerate(zip(hare.parameters(), start.parameters(), strict=True)):
                keep = 0.2 if method == "sp" else float(i < 4)
                mine.data = keep * mine.data + (1 - keep) * its.data
        groups = [{"params": [p for p in hare.parameters() if p.ndim == n], "weight_decay": SHRINK * (n == 2)} for n in (1, 2)]
        optimizer = torch.optim.AdamW(groups, lr=RATE)
        batches = -(-len(images) // BATCH)
        for update in range(1, epochs * batches + 1):
            if (update - 1) % batches == 0:
                order = torch.randperm(len(images), generator=orders)
                order = torch.cat([order] * 2)[: batches * BATCH]
            batch = order[(update - 1) % batches * BATCH :][:BATCH]
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1, update / (0.1 * epochs * batches))
            logits = hare(x[images[batch]])
            loss = functional.cross_entropy(logits, labels[batch])
            if method == "distillation":
                taught = tortoise(x[images[batch]]).softmax(1).detach()
                loss = loss + (taught * (taught.log() - logits.log_softmax(1))).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(hare.parameters(), 0.5)
            optimizer.step()
            updates += 1
            of_hare = float((hare(x_test).argmax(1).numpy() == answers).mean())
            for mine, its in zip(tortoise.parameters(), hare.parameters(), strict=True):
                mine.data = DECAY * mine.data + (1 - DECAY) * its.data
            if method == "ht" and updates % EVERY == 0:
                hare.load_state_dict(tortoise.state_dict())
            if update * 3 // (epochs * batches) > (update - 1) * 3 // (epochs * batches):
                told.append((updates, of_hare, float((tortoise(x_test).argmax(1).numpy() == answers).mean())))
    return hare, tortoise, told


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_run_is_a_plain_loop(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split and labels, order of images, learning rate, clipping, decay, average, resets, evaluations, who is judged."""
    files = install_fashion(monkeypatch, tmp_path)
    argv = [*FLAGS, "--method", method, *METHODS[method], "--data-dir", str(files), "--out", str(tmp_path / "runs")]
    train.main(argv)
    folder = read_command_line(argv).folder
    hare, tortoise, told = twin(method)
    made = load_checkpoint(folder / "checkpoint.pt")["learner"]
    averages = "--tortoise.decay" in argv
    for network, state in ((hare, made["hare"]), *([(tortoise, made["tortoise"])] if averages else [])):
        for mine, its in zip(network.parameters(), state.values(), strict=True):
            torch.testing.assert_close(mine.data, its, rtol=1e-3, atol=2e-5)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["update"], row["test_hare"]) for row in rows] == [(update, of_hare) for update, of_hare, _ in told]
    assert not averages or [row["test_tortoise"] for row in rows] == [of_tortoise for _, _, of_tortoise in told]
    score = json.loads((folder / "score.json").read_text())
    judged = 2 if averages and method != "distillation" else 1
    assert score["test"] == told[-1][judged]
