"""Run folders and score tables with made-up numbers, in the form that training leaves them."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.catalogue import find_agent
from analysis import report
from analysis.collect import SCORES
from envs.games import find_game
from experiment.folder import RunFolder

PLASTICITY = ("dormant", "dead", "zero_activations", "srank", "entropy_rank", "weight_norm", "initial_distance")


def leave_out_figures(monkeypatch: pytest.MonkeyPatch, *but: str) -> None:
    """Reports are tables and pages, and the figures `but` alone: drawing is most of their time."""
    parts = {name: (title, words, draw if name in but else None) for name, (title, words, draw) in report.PARTS.items()}
    monkeypatch.setattr(report, "PARTS", parts)


def fake_run(
    out: Path, agent: str, game: str, seed: int, score: float | None = None, config: dict[str, Any] | None = None, **more: Any
) -> Path:
    """The folder of a run of 100 env steps; `config` is laid over the agent's own.

    `finished=False` leaves out the score, `sealed=True` gives it the checksums that train.py gives it.
    """
    folder = out / agent / game / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = json.loads(json.dumps(dataclasses.asdict(find_agent(agent))))
    for piece, values in (config or {}).items():
        settings[piece] = (settings[piece] or {}) | values
    identity = {"agent": agent, "game": game, "seed": seed, "env_steps": 100, "num_lanes": 1, "eval_episodes": 2}
    (folder / "config.json").write_text(json.dumps({"settings": identity | {"config": settings}, "made": {"commit": "abc"}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics(game, seed, **more.get("log", {}))))
    if more.get("finished", True):
        assert score is not None
        result = {"agent": agent, "game": game, "seed": seed, "env_steps": 100, "episodes": 2, "score": score}
        result |= {"standard_error": 0.5, "hns": find_game(game).normalised(score), "returns": [score - 0.5, score + 0.5]}
        result |= {"commit": "0123456789abcdef", "played_by": "hare"}
        result |= {"device": "CPU, 1 threads", "hours": 0.1, "memory_gb": 1.5}
        (folder / "score.json").write_text(json.dumps(result))
        if more.get("sealed"):  # as train.py does; tests that change a file leave it out
            RunFolder(folder).write_score(result)
    return folder


def metrics(game: str, seed: int, rows: int = 10, env_steps: int = 100) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl: as many finished games and measurements as `rows`."""
    rng, reference = np.random.default_rng(seed), find_game(game)
    found: list[dict[str, Any]] = []
    for index in range(1, rows + 1):
        step = env_steps * index // rows
        score = reference.random + rng.uniform(0, index / rows) * (reference.human - reference.random)
        found.append({"kind": "episode", "env_step": step, "return": round(score, 1), "length": 9, "lane": 0})
        found.append({"kind": "train", "env_step": step, "loss": rng.uniform(), "clock": {"env_steps_per_second": 50.0}})
        measured = {name: rng.uniform() * index for name in PLASTICITY}
        layers = {"encoder.0": {"weight_norm": 3.5, "gradient_norm": 0.25}}  # which tables do not tell
        found.append({"kind": "plasticity", "env_step": step, **measured, "layers": layers})
    return found


def score_table(path: Path, rows: list[tuple[str, str, str, int, float]]) -> Path:
    """A CSV file of scores, from agent, flags, game, seed and score of each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(SCORES)
        for agent, flags, game, seed, score in rows:
            hns = find_game(game).normalised(score)
            table.writerow((agent, flags, game, seed, 100, 2, score, 0.5, hns, "0123456789abcdef", "CPU, 1 threads", 0.1, 1.5))
    return path
