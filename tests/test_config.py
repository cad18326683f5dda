"""Values out of range are refused by the flag's name; the ends of the ranges are allowed."""

import re
from dataclasses import replace
from typing import Any

import pytest

from agents.catalogue import AGENTS
from agents.config import AgentConfig, TargetEnd
from hare_tortoise.settings import Constraints, Injection, Pruning, Recycling, Replacement, Resets, Silence
from networks.settings import Encoder
from supervised.settings import Config, Protocol

NAN = float("nan")

# A flag's path, values out of its range, values at its ends.
RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "target.n": ([0, -3], [1]),
    "target.gamma": ([-0.01, 1.01, NAN], [0, 0.999]),
    "target.end.n": ([0, -1], [1]),
    "target.end.gamma": ([-0.01, 1, NAN], [0, 0.9999]),
    "target.end.updates": ([0, -1], [1]),
    "replay.ratio": ([0, -1, 1025, NAN], [0.01, 1024]),
    "replay.batch_size": ([0, -1], [1]),
    "replay.warmup_steps": ([0, -1], [1]),
    "replay.capacity": ([0, 2**20 + 1], [1, 2**20]),
    "replay.alpha": ([-0.1, 1.1, NAN], [0, 1]),
    "replay.beta.start": ([-0.1, 1.1, NAN], [0, 1]),
    "replay.beta.end": ([-0.1, 1.1, NAN], [0, 1]),
    "replay.beta.steps": ([-1], [0]),
    "exploration.epsilon.start": ([-0.1, 1.1, NAN], [0, 1]),
    "exploration.epsilon.end": ([-0.1, 1.1, NAN], [0, 1]),
    "exploration.epsilon.steps": ([-1], [0]),
    "exploration.evaluation": ([-0.1, 1.1, NAN], [0, 1]),
    "optimizer.learning_rate": ([0, -1e-4, NAN], [1e-12]),
    "optimizer.epsilon": ([0, -1e-4, NAN], [1e-12]),
    "optimizer.beta1": ([-0.1, 1, NAN], [0, 0.9999]),
    "optimizer.beta2": ([-0.1, 1, NAN], [0, 0.9999]),
    "optimizer.clip": ([0, -10, NAN], [1e-6, None]),
    "optimizer.weight_decay": ([-0.1, NAN], [0]),
    "optimizer.radius": ([-0.1, NAN], [0]),
    "penalties.initial": ([-1, NAN], [0]),
    "penalties.logits": ([-1, NAN], [0]),
    "head.hidden": ([0, -1], [1]),
    "encoder.width": ([0, 65], [1, 64]),
    "head.atoms": ([0, -1], [1, 2]),
    "head.support": ([0, -10, NAN], [0.1]),
    "head.noise": ([-0.1, NAN], [0, None]),
    "head.gradient_scale": ([-0.1, 1.1, NAN], [0, 1]),
    "augmentation.pad": ([-1, 85], [0, 84]),
    "augmentation.intensity": ([-0.01, 0.5, NAN], [0, 0.49]),
    "prediction.jumps": ([0, -1], [1]),
    "prediction.weight": ([-1, NAN], [0]),
    "tortoise.decay": ([-0.1, 1, NAN], [0, 0.99999]),
    "tortoise.every": ([0, -1], [1]),
    "resets.every": ([0, -1], [1]),
    "resets.start": ([-1], [0]),
    "resets.times": ([0, -1], [1, None]),
    "resets.keep_body": ([-0.1, 1.1, NAN], [0, 1]),
    "resets.keep_neck": ([-0.1, 1.1, NAN], [0, 1]),
    "resets.keep_head": ([-0.1, 1.1, NAN], [0, 1]),
    "recycling.every": ([0, -1], [1]),
    "recycling.tau": ([-0.1, NAN], [0]),
    "penalties.orthogonal": ([-1, NAN], [0]),
    "constraints.bound": ([0, -1, NAN], [1e-3, None]),
    "silence.rate": ([0, 1, NAN], [1e-6, 0.999]),
    "silence.longest": ([0, 65_537], [1, 65_536]),
    "silence.every": ([0, -1], [1]),
    "replacement.rate": ([-0.1, 1.1, NAN], [0, 1]),
    "replacement.maturity": ([-1], [0]),
    "replacement.decay": ([-0.1, 1, NAN], [0, 0.999]),
    "pruning.sparsity": ([-0.1, 1, NAN], [0, 0.999]),
    "pruning.start": ([-0.1, 1.1, NAN], [0]),
    "pruning.end": ([-0.1, 1.1, NAN], [1]),
    "pruning.every": ([0, -1], [1]),
}
BAD = [(path, value) for path, (bad, _) in RANGES.items() for value in bad]
GOOD = [(path, value) for path, (_, good) in RANGES.items() for value in good]


def changed(piece: Any, path: str, value: Any) -> Any:
    name, _, rest = path.partition(".")
    return replace(piece, **{name: changed(getattr(piece, name), rest, value) if rest else value})


def reached(piece: Any, path: str) -> Any:
    for name in path.split("."):
        piece = getattr(piece, name)
    return piece


RENEWING = {"recycling": Recycling(), "silence": Silence(), "replacement": Replacement()}  # one of them at most


def everything(path: str = "recycling") -> AgentConfig:
    """An agent with every optional piece that can stand beside that of `path`, so that each flag exists."""
    spr, piece = AGENTS["spr"], path.split(".")[0]
    renewing = piece if piece in RENEWING else "recycling"
    target, constraints = replace(spr.target, end=TargetEnd()), Constraints(bound=1.0)
    return replace(
        spr,
        target=target,
        resets=Resets("fresh", every=100, times=9),
        constraints=constraints,
        pruning=Pruning(),
        **{renewing: RENEWING[renewing]},
    )


@pytest.mark.parametrize(("path", "value"), BAD)
def test_a_value_out_of_range_is_refused_by_its_flag(path: str, value: Any) -> None:
    flag = "--" + path.replace("_", "-")
    with pytest.raises(ValueError, match=f"^{re.escape(flag)} must "):
        changed(everything(path), path, value)


# Values that are no such thing, which only a method of one's own can give: a command line reads by type.
OTHER_TYPES: list[tuple[str, Any, str]] = [
    ("tortoise.decay", "0.9", "float"),
    ("tortoise.decay", None, "float"),
    ("tortoise.every", 10.5, "int"),
    ("tortoise.every", True, "int"),
    ("tortoise.acts", "no", "bool"),
    ("optimizer.clip", "10", "float | None"),
    ("resets.source", "frsh", "Literal['fresh', 'initial', 'tortoise', 'orthogonal']"),
    ("tortoise", {"decay": 0.9}, "Tortoise"),
    ("penalties", None, "Penalties"),
    ("resets", Recycling(), "hare_tortoise.settings.Resets | None"),
]


@pytest.mark.parametrize(("path", "value", "kind"), OTHER_TYPES)
def test_a_value_of_another_type_is_refused_by_its_flag(path: str, value: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'--{path} must be {kind}, not {value!r}')}$"):
        changed(everything(path), path, value)


def test_each_of_several_values_has_its_type() -> None:
    assert Protocol(shares=(1,), noise=(0,)) == Protocol(shares=(1.0,), noise=(0.0,))
    for shares in (("1",), [1.0], 1.0):
        with pytest.raises(ValueError, match=r"^--protocol\.shares must be tuple\[float, \.\.\.\], not "):
            Config(protocol=Protocol(shares=shares, noise=(0.0,)))


@pytest.mark.parametrize(("path", "value"), GOOD)
def test_the_ends_of_a_range_are_allowed(path: str, value: Any) -> None:
    assert reached(changed(everything(path), path, value), path) == value


@pytest.mark.parametrize("source", ["fresh", "initial"])
def test_the_tortoise_can_be_reset_too_but_not_from_itself(source: str) -> None:
    both = Resets(source, every=1, tortoise_too=True)
    assert replace(everything(), resets=both).resets == both
    with pytest.raises(ValueError, match=r"^--resets\.tortoise-too .*--resets\.source tortoise"):
        replace(everything(), resets=Resets("tortoise", every=1, tortoise_too=True))


def test_injection_has_a_range_and_no_place_beside_recycling() -> None:
    spr = AGENTS["spr"]
    assert replace(spr, injection=Injection(at=1)).injection == Injection(at=1)
    with pytest.raises(ValueError, match=r"^--injection\.at must "):
        replace(spr, injection=Injection(at=0))
    with pytest.raises(ValueError, match=r"^recycling and injection fight for the head"):
        replace(everything(), injection=Injection())


def test_impala_needs_padding() -> None:
    with pytest.raises(ValueError, match=r"^--encoder\.kind impala needs --encoder\.padding same"):
        replace(AGENTS["spr"], encoder=Encoder(kind="impala"))


def test_every_number_of_a_configuration_has_a_range() -> None:
    def numbers(piece: Any, prefix: str = "") -> list[str]:
        out = []
        for name, value in vars(piece).items():
            if hasattr(value, "__dataclass_fields__"):
                out += numbers(value, f"{prefix}{name}.")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                out.append(prefix + name)
        return out

    assert set().union(*(numbers(everything(piece)) for piece in RENEWING)) == set(RANGES)
