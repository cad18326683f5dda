"""The studies are the paper's, and a point's pace reaches every method."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.command import UserError
from experiment.settings import differences
from supervised.methods import EVERYTHING, FORMER, METHODS, REFERENCES
from supervised.options import Run, read_command_line
from supervised.settings import Config, Crop, Optimizer
from supervised.studies import MODELS, SMALL, STUDIES, WARM, compose, help_text


def test_the_protocols_of_the_paper() -> None:
    warm = STUDIES["warm_start"].points
    assert warm["plain"].protocol.shares == (0.1, 0.9)
    assert warm["plain"].protocol.noise == (0.5, 0.0)
    assert (warm["plain"].augmentation, warm["augmented"].augmentation) == (None, Crop(4, flip=True))
    continual = STUDIES["continual"].points["augmented"]
    assert continual.protocol.noise == (0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0)
    assert continual.augmentation is not None
    assert STUDIES["continual_buffer"].points["augmented"].protocol == replace(continual.protocol, memory=5_000)
    for study in STUDIES.values():
        assert {"fresh", "none"} <= set(study.methods)  # both bounds are part of each
    assert set(STUDIES["warm_start"].methods) == set(STUDIES["continual"].methods) == set(METHODS) | set(REFERENCES)


def test_only_the_share_or_the_noise_varies() -> None:
    """Not how long the networks learn: updates of the first task, and epochs of the last, of 50,000 images."""
    for study in ("subset", "noise", "both"):
        points = STUDIES[study].points.values()
        assert {point.protocol.epochs(1) for point in points} == {111}  # as in the paper's warm start
        first = [point.protocol.epochs(0) * point.protocol.shares[0] * 50_000 / 256 for point in points]
        assert max(first) == pytest.approx(min(first), rel=0.01)
        assert {replace(p, protocol=replace(p.protocol, shares=(), noise=(), last_epochs=None)) for p in points} == {
            replace(STUDIES["warm_start"].points["plain"], protocol=replace(WARM, shares=(), noise=()))
        }
    fresh = [compose("mlp", p, "fresh", flips=True).protocol for p in STUDIES["subset"].points.values()]
    assert {(p.epochs(1), p.noise[1], p.last_only) for p in fresh} == {(111, 0.0, True)}  # one reference for all of them


def test_what_is_varied_is_varied_alone() -> None:
    noise = {point.protocol.noise for point in STUDIES["noise"].points.values()}
    assert len(noise) == len(STUDIES["noise"].points)
    assert {point.protocol.shares for point in STUDIES["noise"].points.values()} == {(0.1, 0.9)}
    assert {point.protocol.noise for point in STUDIES["subset"].points.values()} == {(0.0, 0.0)}
    assert len(STUDIES["both"].points) == 25
    for point in STUDIES["optimizer"].points.values():
        changed = [point.beta1 != 0.9, point.beta2 != 0.999, point.epsilon != 1e-8]
        assert sum(changed) <= 1


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("model", MODELS)
def test_every_run_of_every_study_can_be_composed(study: str, model: str) -> None:
    for point in STUDIES[study].points.values():
        for method in STUDIES[study].methods:
            config = compose(model, point, method, flips=True)
            if method != "wd":
                assert config.optimizer.weight_decay == MODELS[model].weight_decay
            assert config.optimizer == replace(
                Optimizer(learning_rate=MODELS[model].learning_rate, batch_size=MODELS[model].batch_size),
                weight_decay=config.optimizer.weight_decay,
                radius=0.05 if method == "sam" else 0.0,
                beta1=point.beta1,
                beta2=point.beta2,
                epsilon=point.epsilon,
            )


def test_a_points_pace_reaches_every_method() -> None:
    for method in EVERYTHING:
        config = compose("resnet_small", SMALL, method, flips=True)
        if config.tortoise is not None:
            assert config.tortoise.decay == 0.99
        if config.recycling is not None:
            assert config.recycling.every == 200
        if config.silence is not None:
            assert config.silence.every == 200
        if config.resets is not None:
            within = EVERYTHING[method].apply(Config()).resets.every is not None  # and not between tasks alone
            assert config.resets.every == (200 if within else None)
            assert within == (method == "ht") or method not in ("ht", "head", "sp", "reinit")
    run = read_command_line(["--point", "small", "--dataset", "fashion_mnist", "--model", "resnet_small"])
    assert (run.images, run.evaluations, run.config.tortoise.decay) == (2_000, 4, 0.99)
    run = read_command_line(["--point", "small", "--images", "100", "--tortoise.decay", "0.9", "--resets.every", "7"])
    assert (run.images, run.config.tortoise.decay, run.config.resets.every) == (100, 0.9, 7)


def test_help_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_command_line(["--method", "help"])
    told = capsys.readouterr().out
    assert told == help_text() + "\n"
    assert all(f"| `{name}` |" in told for name in (*STUDIES, *MODELS, *EVERYTHING))


@pytest.mark.parametrize(
    "words",
    [
        ("--protocol.passes", "1e300"),
        ("--protocol.passes", "1e5", "--protocol.shares", "0.01", "0.99"),
        ("--protocol.last-epochs", "1" + "0" * 12),
        ("--network.width", "1000000"),
        ("--network.depth", "1000000"),
        ("--network.hidden", "1000000"),
        ("--optimizer.batch-size", "1000000"),
        ("--protocol.memory", "1" + "0" * 12),
        ("--hessian-rounds", "1000000"),
    ],
)
def test_numbers_that_no_machine_could_carry_out_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=words[0]):
        read_command_line(["--model", "mlp", "--method", "none", *words])


@pytest.mark.parametrize(("former", "name"), FORMER.items())
def test_a_method_is_known_by_its_former_name(former: str, name: str, tmp_path: Path) -> None:
    flags = ["--out", str(tmp_path)]
    now = read_command_line(["--method", name, *flags])
    assert read_command_line(["--method", former, *flags]) == read_command_line([f"--method={former}", *flags]) == now
    assert (now.method, now.folder.parent.name) == (name, name)
    (now.folder.parent.parent / former / "seed0").mkdir(parents=True)
    assert now.folder.parent.name == former  # a run that was begun there goes on there


def test_settings_of_before_are_those_of_today() -> None:
    """As commit a983c2c wrote them: no neck, the tortoise is judged, nothing of what was added since."""
    for former, name in FORMER.items():
        run = read_command_line(["--method", name])
        then = json.loads(json.dumps(run.identity())) | {"method": former}
        config = then["config"]
        del config["optimizer"]["radius"]
        if config["tortoise"] is not None:
            config["tortoise"] = {"decay": config["tortoise"]["decay"], "judged": config["tortoise"]["acts"]}
        if config["resets"] is not None:
            config["resets"] = {key: config["resets"][key] for key in ("source", "every", "keep_body", "keep_head", "moments")}
        before = json.dumps(then)
        assert differences(Run, then, run.identity(), scored=True) == ""
        assert json.dumps(then) == before  # nothing of what was read is changed
        assert "method" in differences(Run, then | {"method": "none"}, run.identity(), scored=True)
