"""What a device needs of an update: nothing read on the host, no shape that depends on data, tensors that stay in place."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from agents.agent import Agent
from agents.config import AgentConfig, Resets, Tortoise
from replay.batch import Batch
from tests.fake_replay import ACTIONS, FakeReplay, fake_replay, fresh_often, small

BOTH = pytest.mark.parametrize("name", ["der", "spr"])


class NoWaiting(TorchDispatchMode):
    """Refuses every operator that waits for the device: those that read a value, or whose result's size is one."""

    paused = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in (args[1] if isinstance(args[1], list | tuple) else ())
        )
        waits = name in ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "bincount")
        assert self.paused or not (waits or by_mask), f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> NoWaiting:
    mode = NoWaiting()
    original = functional.one_hot

    def one_hot(*args: Any) -> Tensor:
        mode.paused = True  # checks its argument on the CPU; on CUDA it does not
        try:
            return original(*args)
        finally:
            mode.paused = False

    monkeypatch.setattr(functional, "one_hot", one_hot)
    return mode


def trap_(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse the methods of tensors that read memory without an operator."""

    def refuse(tensor: Tensor, *_: object, **__: object) -> NoReturn:
        raise AssertionError("a tensor was read on the host")

    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__", "__iter__"):
        monkeypatch.setattr(Tensor, name, refuse)


def updated(config: AgentConfig, monkeypatch: pytest.MonkeyPatch, no_waiting: NoWaiting) -> Agent:
    """An agent behind four updates, in which nothing may wait."""
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0), fake_replay(config)
    with monkeypatch.context() as patch, no_waiting:
        trap_(patch)
        for _ in range(4):
            agent.update(replay)
    return agent


@BOTH
def test_an_update_waits_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch, no_waiting: NoWaiting) -> None:
    assert updated(fresh_often(name), monkeypatch, no_waiting).resets == 2


@pytest.mark.parametrize(
    "name", [f"der_{method}" for method in ("snr", "cbp", "nap", "clip", "prune", "snorm", "parseval", "sam")]
)
def test_what_a_method_does_at_every_update_waits_for_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, no_waiting: NoWaiting
) -> None:
    monkeypatch.setattr("hare_tortoise.renewal.AT_HOST", ())  # a CPU looks, since it need not wait
    assert updated(small(name), monkeypatch, no_waiting).updates == 4


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.max().item(),
        lambda t: bool(t[0]),
        lambda t: t.tolist(),
        lambda t: t.numpy(),
        lambda t: t[t > 0],
        lambda t: t[: t.argmax()],
        lambda t: torch.equal(t, t),
        lambda t: torch.nonzero(t),
    ],
)
def test_the_trap_catches_what_would_wait(
    read: Callable[[Tensor], object], monkeypatch: pytest.MonkeyPatch, no_waiting: NoWaiting
) -> None:
    class Reading(FakeReplay):
        def sample(self, *arguments: Any) -> Batch:
            batch = super().sample(*arguments)
            read(batch.weight)
            return batch

    config = small("der")
    agent = Agent(config, ACTIONS, device="cpu", seed=0)
    with monkeypatch.context() as patch, no_waiting:
        trap_(patch)
        with pytest.raises(AssertionError, match=r"waits for the device|on the host"):
            agent.update(Reading(fake_replay(config).batches))


@pytest.mark.parametrize("resets", [None, Resets("tortoise", every=2), Resets("fresh", 2, 0.5, moments="zero")])
@BOTH
def test_tensors_keep_their_addresses(name: str, resets: Resets | None) -> None:
    config = small(name, tortoise=Tortoise(decay=0.9), resets=resets)
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0), fake_replay(config)
    agent.update(replay)  # Adam makes its moments when it first steps

    def addresses() -> list[int]:
        moments = [value for state in agent.optimizer.state.values() for value in state.values()]
        counters = [agent.state_dict()["tally"][key] for key in ("sums", "healthy")]
        return [
            t.data_ptr() for t in (*agent.hare.parameters(), *agent.tortoise.parameters(), *moments, *counters, *replay.given)
        ]

    before = addresses()
    assert len(set(before)) == len(before)
    for env_step in range(5):
        agent.anneal_(env_step)
        agent.update(replay)
    agent.metrics()
    agent.broken()
    assert addresses() == before
