"""On a GPU: the same results as on the CPU, and the same from every way of execution. Skipped elsewhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.agent import Agent
from agents.config import AgentConfig
from agents.engine import check_execution
from agents.execution import Execution
from benchmarks.learners import filled
from hare_tortoise.measure import distance
from tests.fake_replay import FakeReplay, random_batch, small

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]
CUDA, ACTIONS, UPDATES = torch.device("cuda"), 3, 50
NAMES = ("der_ht", "spr", "sr_spr_ht", "drq_eps", "bbf", "spr_inject", "der_redo")
WAYS = {
    # the way: relative tolerance of the first loss, of the mean of all fifty, and of the weights' way
    Execution(captured=True): (1e-6, 1e-3, 1e-2),
    Execution("tf32"): (1e-2, 0.05, 0.7),
    Execution("bf16"): (2e-2, 0.1, 0.9),
    Execution(compiled=True): (1e-4, 2e-2, 0.3),
    Execution(compiled=True, captured=True): (1e-4, 2e-2, 0.3),
    Execution("bf16", compiled=True, captured=True): (2e-2, 0.1, 0.9),
}


def settings(name: str) -> AgentConfig:
    """A small `name` whose every plan falls within fifty updates."""
    config = replace(small(name), encoder=replace(small(name).encoder, width=1))
    if config.resets is not None:
        config = replace(config, resets=replace(config.resets, every=20))
    if config.injection is not None:
        config = replace(config, injection=replace(config.injection, at=20))
    if config.recycling is not None:
        config = replace(config, recycling=replace(config.recycling, every=20))
    return config


def fifty(config: AgentConfig, execution: Execution, device: torch.device = CUDA) -> tuple[list[float], Agent]:
    """The loss of each of fifty updates from a replay of random games, and the agent after them."""
    agent, replay = Agent(config, ACTIONS, device=device, seed=0, execution=execution), filled(config, ACTIONS, 300, device)
    losses = []
    for _ in range(UPDATES):
        agent.update(replay)
        losses.append(agent.metrics()["loss"])
    return losses, agent


@pytest.fixture(scope="module", autouse=True)
def repeatable() -> Iterator[None]:
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_every_way_agrees_with_eager(name: str, way: Execution) -> None:
    check_execution(way, CUDA)
    first, every, weights = WAYS[way]
    config = settings(name)
    (losses, agent), (expected, eager) = fifty(config, way), fifty(config, Execution())
    assert losses[0] == pytest.approx(expected[0], rel=first)
    assert np.mean(losses) == pytest.approx(np.mean(expected), rel=every)
    moved = distance(eager.hare.parameters(), eager.initial.parameters())
    assert distance(agent.hare.parameters(), eager.hare.parameters()) <= weights * moved
    assert moved > 0
    assert (agent.updates, agent.resets) == (eager.updates, eager.resets)


@pytest.mark.parametrize("name", NAMES)
def test_an_update_agrees_with_the_cpu(name: str) -> None:
    config = settings(name)
    batch = random_batch(config, 0)
    found = []
    for device in (torch.device("cpu"), CUDA):
        agent = Agent(config, ACTIONS, device=device, seed=0, execution=Execution())
        moved = replace(batch, **{key: getattr(batch, key).to(device) for key in batch.__dataclass_fields__})
        # Devices draw other numbers: neither noise nor augmentation. What these do is held by the tests of the CPU.
        agent.hare.draw_noise = agent.tortoise.draw_noise = lambda _: None  # type: ignore[method-assign, assignment]
        agent.config = replace(config, augmentation=None)
        agent.update(FakeReplay([moved]))
        found.append((agent.metrics(), [p.cpu() for p in agent.hare.parameters()], agent.initial))
    (expected, weights, initial), (metrics, others, _) = found
    assert metrics == pytest.approx(expected, rel=1e-3)
    assert distance(weights, others) < 0.02 * distance(weights, initial.cpu().parameters())


@pytest.mark.parametrize("name", ["der_ht", "spr"])
def test_captured_actions_are_the_eager_ones(name: str) -> None:
    config = settings(name)
    frames = torch.randint(256, (4, 4, 84, 84), dtype=torch.uint8, device=CUDA)
    made = [Agent(config, ACTIONS, device=CUDA, seed=0, execution=way) for way in (Execution(), Execution(captured=True))]
    for agent in made:
        agent.epsilon = 0.1
    for _ in range(20):
        frames.copy_(torch.randint_like(frames, 256))
        eager, captured = (agent.act(frames) for agent in made)
        assert torch.equal(eager, captured)


def run(out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", "--game", "Pong", "--agent", "der_ht", "--env-steps", "700", "--device", "cuda"]
    command += ["--replay.warmup-steps", "300", "--log-every", "100", "--checkpoint-every", "200", "--eval-episodes", "1"]
    place = Path(__file__).parent.parent
    return subprocess.run([*command, "--out", str(out), *flags], capture_output=True, text=True, timeout=240, cwd=place)


@pytest.mark.parametrize("flags", [(), ("--execution.captured",), ("--execution.captured", "--execution.precision", "bf16")])
def test_a_run_trains_and_writes_its_score(flags: tuple[str, ...], tmp_path: Path) -> None:
    done = run(tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "der_ht" / "Pong" / "seed0" / "score.json").read_text())
    assert np.isfinite(score["score"])
    assert score["device"] == torch.cuda.get_device_name()
