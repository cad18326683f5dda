"""What never comes in a run is said before it begins, for agents and for the study; a method of one's own keeps its numbers."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from experiment.command import UserError
from hare_tortoise import changes as to
from hare_tortoise.idle import idle, require_other
from hare_tortoise.methods import METHODS, Method, Use
from hare_tortoise.settings import Plans, Recycling, Replacement, Resets, Tortoise
from supervised.methods import EVERYTHING, fill
from supervised.options import read_command_line
from supervised.studies import STUDIES, compose
from tests.supervised_files import install_fashion
from tests.test_supervised_training import MLP, run


@pytest.mark.parametrize(
    ("plans", "tasks", "told"),
    [
        (Plans(resets=Resets("fresh", every=20)), 1, []),  # a run that does not know its end has one at update 20
        (Plans(resets=Resets("fresh", every=20), updates=30), 1, ["--resets.every 20"]),  # less than an interval is left
        (Plans(resets=Resets("initial")), 2, []),
        (Plans(resets=Resets("initial")), 1, ["resets come at the start of each task but the first"]),
        (Plans(resets=Resets("initial", start=30)), 2, ["--resets.start 30"]),
        (Plans(resets=Resets("initial", start=29)), 2, []),
        (Plans(recycling=Recycling(every=31)), 2, ["--recycling.every 31"]),
        (Plans(recycling=Recycling(every=30)), 2, []),  # as with resets
        (Plans(recycling=Recycling(every=16), updates=30), 1, ["--recycling.every 16"]),
        (Plans(recycling=Recycling(every=15), updates=30), 1, []),
        (Plans(replacement=Replacement(maturity=30)), 2, ["--replacement.maturity 30"]),
        (Plans(replacement=Replacement(maturity=29)), 2, []),
    ],
)
def test_what_never_comes(plans: Plans, tasks: int, told: list[str]) -> None:
    found = idle(plans, 30, tasks)
    assert len(found) == len(told)
    assert all(line.startswith(start) and line.endswith("none comes") for line, start in zip(found, told, strict=True))


@pytest.mark.parametrize(("method", "told"), [("ht", "--resets.every 200"), ("redo", "--recycling.every 200"), ("ema", "")])
def test_the_study_says_so(
    method: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = install_fashion(monkeypatch, tmp_path)
    run(files, tmp_path / "runs", *MLP, "--method", method, "--point", "small", "--images", "90", "--protocol.passes", "0.1")
    said = capsys.readouterr().err
    assert ("none comes" in said) == bool(told)
    assert told in said


def test_a_method_of_ones_own_keeps_its_numbers_in_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others take those of the point."""
    small = STUDIES["warm_start"].points["small"]
    own = {"often": to.hare_tortoise(0.9, 250), "rarely": to.renew(Recycling(every=99))}
    monkeypatch.setattr(
        "supervised.studies.EVERYTHING", EVERYTHING | {name: Use(change, "", "mine") for name, change in own.items()}
    )
    often, rarely, shared = (compose("mlp", small, name, flips=True) for name in ("often", "rarely", "ht"))
    assert often.tortoise is not None
    assert often.resets is not None
    assert rarely.recycling is not None
    assert (often.tortoise.decay, often.resets.every, rarely.recycling.every) == (0.9, 250, 99)
    assert shared.tortoise is not None
    assert shared.resets is not None
    assert (shared.tortoise.decay, shared.resets.every) == (small.decay, small.every) == (0.99, 200)


def test_a_return_to_a_tortoise_that_says_nothing_new_is_refused() -> None:
    """Against a walk through the updates: at each setting back, whether the tortoise has followed, and just now."""
    refused = 0
    for decay, t_every, every, start, missed, t_counts, counts in product(
        (0.0, 0.9), (1, 2, 3, 6), (2, 3, 4), (0, 5), (0, 5), (False, True), (False, True)
    ):
        tortoise = Tortoise(decay, t_every, warmup_counts=t_counts)
        plans = Plans(tortoise, Resets("tortoise", every, start=start, warmup_counts=counts), missed=missed)
        assert plans.resets is not None
        last, copies, early = 0, [], []
        for update in range(1, 60):
            if tortoise.due(update, missed):
                last = update
            if plans.resets.due(update, None, missed):
                copies.append(last == update)
                early.append(last == 0)
        told = ""
        try:
            require_other(plans)
        except ValueError as error:
            told = str(error)
        assert ("not followed yet" in told) == (early[0] and not (decay == 0 and all(copies)))
        assert ("makes the tortoise a copy" in told) == (decay == 0 and all(copies))
        refused += bool(told)
    assert refused > 50


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--tortoise.decay", "0"], "--tortoise.decay 0 makes the tortoise a copy"),
        (["--tortoise.decay", "0", "--resets.every", "None"], "--tortoise.decay 0 makes the tortoise a copy"),
        (["--tortoise.every", "1001"], "--tortoise.every 1001: the hare would be set back behind update 1000, and the"),
    ],
)
def test_the_study_refuses_it(flags: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_command_line(["--method", "ht", *flags])


def test_a_method_of_ones_own_that_does_not_fit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that no model can have, or not this one; a function that forgets to return them."""
    narrow = Use(lambda c: replace(c, network=replace(c.network, width=100)), "", "mine")
    with monkeypatch.context() as patch:
        patch.setattr("supervised.studies.EVERYTHING", EVERYTHING | {"narrow": narrow})
        patch.setitem(EVERYTHING, "narrow", narrow)
        assert read_command_line(["--method", "narrow", "--model", "mlp"]).config.network.width == 100
        with pytest.raises(UserError, match=r"^--network\.width of a vit must divide by 64, not 100$"):
            read_command_line(["--method", "narrow", "--model", "vit_tiny"])
    monkeypatch.setitem(METHODS, "forgets", Method(None, Use(lambda c: None, "", "mine"), "reset"))
    with pytest.raises(ValueError, match="the method 'forgets' makes of a classifier's settings None, not settings"):
        fill()
    del METHODS["forgets"]
    fill()
