"""How arithmetic is carried out: eager, compiled, in bfloat16, outputs_of; equal up to rounding, refused where impossible."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agents import engine
from agents.agent import Agent
from agents.engine import WARMUP, Captured, check_execution, prepare
from agents.execution import Execution
from hare_tortoise.measure import distance
from tests.fake_replay import FakeReplay, random_batch, small

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class FakeGraph:
    """Stands for a CUDA graph: replays what was outputs_of by running it."""

    function: Callable[[], Any]
    registered: list[torch.Generator]
    replays = 0

    def __init__(self) -> None:
        self.registered = []

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.registered.append(generator)

    def replay(self) -> None:
        self.replays += 1
        self.function()


class Gpu:
    """What `engine` takes from torch.cuda, without a GPU; `aside` counts the calls on a side stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.graphs: list[FakeGraph] = []
        self.aside = 0
        self.last: dict[Callable[[], Any], Any] = {}
        monkeypatch.setattr(engine, "_aside", self._aside)
        monkeypatch.setattr(engine, "_record", self._record)

    def _aside(self, function: Callable[[], Any]) -> Any:
        self.aside += 1
        self.last[function] = function()
        return self.last[function]

    def _record(self, function: Callable[[], Any], generators: list[torch.Generator]) -> tuple[FakeGraph, Any]:
        graph, result = FakeGraph(), deepcopy(self.last[function])

        def replay() -> None:
            found = function()
            if isinstance(found, Tensor):
                result.copy_(found)  # a graph writes what it returns to one address

        graph.function = replay
        for generator in generators:
            graph.register_generator_state(generator)
        self.graphs.append(graph)
        return graph, result  # a recording does not run the function


def test_every_call_of_a_recorded_function_does_its_work_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, generator, done = Gpu(monkeypatch), torch.Generator(), []
    function = Captured(lambda: done.append(len(done)), [generator])
    for call in range(1, 11):
        function()
        assert len(done) == call
    assert gpu.aside == WARMUP
    assert [graph.replays for graph in gpu.graphs] == [10 - WARMUP]
    assert gpu.graphs[0].registered == [generator]


def test_recording_registers_generators_and_enters_the_graph_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[FakeGraph] = []

    @contextmanager
    def graph(found: FakeGraph) -> Iterator[None]:
        entered.append(found)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    generators = [torch.Generator(), torch.Generator()]
    found, result = engine._record(lambda: len(entered), generators)
    assert entered == [found]
    assert result == 1  # the function ran within
    assert found.registered == generators


def captured(name: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> tuple[Agent, Agent, Gpu]:
    """An eager agent, one whose functions are outputs_of, and the GPU that the latter believes in."""
    gpu, config = Gpu(monkeypatch), small(name, **changes)
    monkeypatch.setattr(torch.optim.AdamW, "__init__", _uncapturable(torch.optim.AdamW.__init__))
    return (
        Agent(config, 3, device="cpu", seed=0),
        Agent(config, 3, device="cpu", seed=0, execution=Execution(captured=True)),
        gpu,
    )


def _uncapturable(init: Callable[..., None]) -> Callable[..., None]:
    def without(*arguments: Any, capturable: bool, **settings: Any) -> None:
        init(*arguments, **settings)  # torch takes the flag for a GPU's tensors only

    return without


@pytest.mark.parametrize("name", ["der_ht", "spr_inject", "der_redo"])
def test_a_captured_agent_learns_and_acts_as_an_eager_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {}
    if name == "spr_inject":
        changes["injection"] = replace(small(name).injection, at=6)
    if name == "der_redo":
        changes["recycling"] = replace(small(name).recycling, every=5)
    eager, agent, gpu = captured(name, monkeypatch, **changes)
    batches = [random_batch(eager.config, seed) for seed in range(3)]
    replays = FakeReplay(batches), FakeReplay(batches)
    frames = torch.randint(256, (2, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    eager.epsilon = agent.epsilon = 0.0
    for _ in range(14):
        assert torch.equal(eager.act(frames), agent.act(frames))
        for each, replay in zip((eager, agent), replays, strict=True):
            each.update(replay)
    assert distance(agent.hare.parameters(), eager.hare.parameters()) == 0
    assert agent.metrics() == eager.metrics()
    # One graph for updates and one for actions; after an injection other networks are at work, and so are other graphs.
    assert len(gpu.graphs) == (4 if name == "spr_inject" else 2)


def test_one_graph_acts_on_all_frames_of_a_shape_and_keeps_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    eager, agent, gpu = captured("der", monkeypatch)
    g, kept = torch.Generator().manual_seed(0), []
    for _ in range(WARMUP + 4):
        frames = torch.randint(256, (2, 4, 84, 84), dtype=torch.uint8, generator=g)
        assert torch.equal(agent.act(frames), eager.act(frames))
        kept.append(weakref.ref(frames))
        del frames
    assert len(gpu.graphs) == 1
    assert [frames() for frames in kept] == [None] * len(kept)


def test_a_loaded_state_is_not_learnt_with_an_old_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    _, agent, gpu = captured("der", monkeypatch)
    replay = FakeReplay([random_batch(agent.config, 0)])
    for _ in range(WARMUP + 2):
        agent.update(replay)
    agent.load_state_dict(agent.state_dict())
    for _ in range(WARMUP + 2):
        agent.update(replay)
    assert [graph.replays for graph in gpu.graphs] == [2, 2]


def twelve(name: str, execution: Execution) -> tuple[list[float], Agent]:
    """The loss of each of twelve updates, and the agent after them."""
    agent = Agent(small(name), 3, device="cpu", seed=0, execution=execution)
    replay = FakeReplay([random_batch(agent.config, seed) for seed in range(3)])
    losses = []
    for _ in range(12):
        agent.update(replay)
        losses.append(agent.metrics()["loss"])
    return losses, agent


def assert_agree(name: str, execution: Execution, first: float, every: float, weights: float) -> None:
    """Within these relative tolerances: the first loss, all losses, the way that the weights have gone."""
    (losses, agent), (expected, eager) = twelve(name, execution), twelve(name, Execution())
    assert losses[0] == pytest.approx(expected[0], rel=first)
    assert losses == pytest.approx(expected, rel=every)
    moved = distance(eager.hare.parameters(), eager.initial.parameters())
    assert 0 < distance(agent.hare.parameters(), eager.hare.parameters()) < weights * moved


@pytest.mark.parametrize("name", ["der", "spr", "drq"])
def test_bfloat16_agrees_with_float32(name: str) -> None:
    assert_agree(name, Execution(precision="bf16"), 0.005, 0.04, 0.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own ways
@pytest.mark.parametrize("name", ["der", "spr"])
def test_compiled_agrees_with_eager(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_agree(name, Execution(compiled=True), 1e-5, 1e-2, 0.2)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda _: None)
    config = small(name)
    gradients = []
    for execution in (Execution(), Execution(compiled=True)):
        agent = Agent(config, 3, device="cpu", seed=0, execution=execution)
        agent.update(FakeReplay([random_batch(config, 0)]))
        gradients.append([p.grad for p in agent.hare.parameters() if p.grad is not None])
    for eager, compiled in zip(*gradients, strict=True):
        assert (eager - compiled).norm() <= 1e-5 * eager.norm()


def test_bfloat16_leaves_losses_weights_and_moments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    agent = Agent(small("spr"), 3, device="cpu", seed=0, execution=Execution(precision="bf16"))
    agent.hare.encoder[0].register_forward_hook(lambda _module, _in, out: seen.append(out.dtype))
    found: list[Any] = []
    objective = agent._objective
    monkeypatch.setattr(agent, "_objective", lambda *arguments: found.append(objective(*arguments)) or found[-1])
    agent.update(FakeReplay([random_batch(agent.config, 0)]))
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in found[0][:-1]} == {torch.float32}  # and what they aim at may be either
    assert agent.optimizer is not None
    kept = [*agent.hare.parameters()] + [p.grad for p in agent.hare.parameters() if p.grad is not None]
    kept += [value for state in agent.optimizer.state.values() for value in state.values()]
    assert {value.dtype for value in kept} == {torch.float32}
    seen.clear()
    agent.epsilon = 0.0
    agent.act(torch.zeros(1, 4, 84, 84, dtype=torch.uint8))
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize(
    ("execution", "device", "said"),
    [
        (Execution(captured=True), CPU, "captured"),
        (Execution(precision="tf32"), CPU, "tf32"),
        (Execution(precision="tf32"), GPU, "8.0"),
        (Execution(precision="bf16"), GPU, "bfloat16"),
    ],
)
def test_what_a_device_cannot_do_is_refused(
    execution: Execution, device: torch.device, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(ValueError, match=said):
        check_execution(execution, device)
    check_execution(Execution(), device)


def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert prepare(Execution(compiled=True), CPU)(len) is len
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert prepare(Execution(compiled=True), GPU)(len) is len
    assert "Triton" in capsys.readouterr().err
