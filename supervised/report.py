"""The paper's figures with our numbers: a table and a picture for each study, with 95 % intervals over seeds.

python -m supervised.report results/                      # from the tables in results/supervised
python -m supervised.report runs/supervised --collect results/supervised   # makes the tables from runs first
"""

from pathlib import Path
from typing import Any

from experiment.command import UserError, run
from experiment.files import atomic, write_text, writing
from experiment.parser import Parser, user_path
from supervised.methods import BOUNDS, EVERYTHING
from supervised.studies import STUDIES
from supervised.table import TASKS, Mean, Row, accuracies, against, by_setting, collect, final, notes, read, summary

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
MARKS = ("-", "--", ":")
NOTE = (
    "Test accuracy in percent at the end of the last task, mean over seeds ± half of the 95 % interval (Student's t). "
    "`test` is the tortoise's where a method is judged by it. `- none`: difference to no method, seed by seed (of how many). "
    "The hare of `ema` is `none`, that of `fresh_ema` is `fresh`: nothing acts on it, so it and what is measured of it "
    "stand there alone. Wrong labels are never by chance right; unless a run says --protocol.convention kept, all labels are "
    "redrawn in every task."
)
SAME = {"ema": "none", "fresh_ema": "fresh"}  # whose hare is whose


def said(study: str, point: str, rows: list[Row]) -> str:
    """What stands above the table of a setting."""
    text = f"Setting `{point}`"
    if STUDIES[study].augments(point):
        text += ", which augments all images (so `augmentation` would be `none`)"
    if any(row["held_out"] != "0" for row in rows):
        text += ", judged by training images that were held out, not by test images"
    return text


def table(rows: list[Row]) -> str:
    """A Markdown table of the methods of one setting, best first."""
    test, hare, tortoise = (final(rows, column) for column in ("test", "test_hare", "test_tortoise"))
    train, zero, rank, norm = (final(rows, c) for c in ("train_hare", "zero_activations", "srank", "weight_norm"))
    names = "| method | test | - none | hare | tortoise | train | zero activations | rank | weight norm | seeds |"
    lines = [names, "|" + " --- |" * 10]
    base = test.get("none", {})
    for method in sorted(test, key=lambda name: -_mean(test[name]).mean):
        values = test[method]
        difference = against(values, base) if method != "none" else None
        told = "" if difference is None else f"{difference} ({difference.count})"
        cells = [f"`{method}`", str(_mean(values)), told]
        measured = [_told(found.get(method, {}), len(values)) for found in (hare, tortoise, train, zero)]
        measured += [_told(found.get(method, {}), len(values), "{0.mean:.1f}") for found in (rank, norm)]
        if SAME.get(method) in test:
            alone, measured = measured[1], [f"`{SAME[method]}`"] * len(measured)
            measured[1] = alone
        cells += measured
        lines.append("| " + " | ".join([*cells, str(len(values))]) + " |")
    return "\n".join(lines)


def _told(values: dict[int, float], seeds: int, form: str = "{0}") -> str:
    """The mean of `values`, and of how many if that is not of all `seeds`; nothing if there are none."""
    if not values:
        return ""
    return form.format(_mean(values)) + (f" ({len(values)})" if len(values) < seeds else "")


def _mean(values: dict[int, float]) -> Mean:
    return summary(list(values.values()))


def _order(methods: Any) -> list[str]:
    return [name for name in EVERYTHING if name in methods]


def draw_methods(panel: Any, rows: list[Row]) -> None:
    """A point with its interval for each method; bounds are lines across too."""
    test = final(rows)
    methods = _order(test)
    for i, method in enumerate(methods):
        value = _mean(test[method])
        bound = method == "none" or method in BOUNDS
        colour = COLOURS[1] if method == "hare_tortoise" else "#777777" if bound else COLOURS[0]
        panel.errorbar(i, 100 * value.mean, 100 * (value.half or 0), color=colour, marker="o", capsize=3)
        if bound:
            panel.axhline(100 * value.mean, color="grey", linestyle=":", linewidth=1)
    panel.set_xticks(range(len(methods)), methods, rotation=60, ha="right")


def draw_tasks(panel: Any, rows: list[Row]) -> None:
    """A line for each method, over the tasks."""
    test = accuracies(rows)
    for i, method in enumerate(_order(test)):
        tasks = sorted(test[method])
        values = [_mean(test[method][task]) for task in tasks]
        style = {"color": COLOURS[i % len(COLOURS)], "linestyle": MARKS[i // len(COLOURS)], "label": method}
        if len(tasks) == 1:
            panel.axhline(100 * values[0].mean, **style)
            continue
        panel.plot([task + 1 for task in tasks], [100 * v.mean for v in values], **style)
        low, high = ([100 * (v.mean + sign * (v.half or 0)) for v in values] for sign in (-1, 1))
        panel.fill_between([task + 1 for task in tasks], low, high, color=style["color"], alpha=0.12, linewidth=0)
    panel.set_xlabel("task")
    panel.legend(frameon=False, fontsize=7, ncols=2)


def draw_points(panel: Any, settings: dict[str, list[Row]]) -> None:
    """A line for each method, over the points of a study."""
    points = list(settings)
    found = {point: final(rows) for point, rows in settings.items()}
    for i, method in enumerate(_order({m for test in found.values() for m in test})):
        have = [point for point in points if method in found[point]]
        values = [_mean(found[point][method]) for point in have]
        errors = [100 * (value.half or 0) for value in values]
        panel.errorbar(
            [points.index(point) for point in have],
            [100 * value.mean for value in values],
            errors,
            color=COLOURS[i % len(COLOURS)],
            label=method,
            capsize=3,
        )
    panel.set_xticks(range(len(points)), points, rotation=60, ha="right")
    panel.legend(frameon=False)


def draw_grid(panel: Any, settings: dict[str, list[Row]]) -> None:
    """What warm-starting costs, none - fresh, for each subset and noise."""
    shares, noises = (sorted({float(point.split("x")[i]) for point in settings}) for i in (0, 1))
    for point, rows in settings.items():
        test = final(rows)
        cost = against(test["none"], test["fresh"]) if {"none", "fresh"} <= test.keys() else None
        if cost is not None:
            share, noise = (float(part) for part in point.split("x"))
            depth = min(max(-cost.mean * 20, 0), 1)  # five points of accuracy are the darkest
            panel.add_patch(_square(shares.index(share), noises.index(noise), depth))
            panel.text(shares.index(share), noises.index(noise), f"{cost} ({cost.count})", ha="center", va="center", fontsize=7)
    panel.set_xlim(-0.5, len(shares) - 0.5)
    panel.set_ylim(-0.5, len(noises) - 0.5)
    panel.set_xticks(range(len(shares)), shares)
    panel.set_yticks(range(len(noises)), noises)
    panel.set(xlabel="share of the first task", ylabel="its label noise")


def _square(x: int, y: int, depth: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=(1, 1 - depth * 0.6, 1 - depth * 0.8))


def picture(path: Path, title: str, study: str, settings: dict[str, list[Row]]) -> None:
    """Draw one study on one data set and model; the format follows the suffix of `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "supervised"  # the same numbers give the same file
    from matplotlib import pyplot

    drawn = STUDIES[study].drawn
    panels = 1 if drawn in ("points", "grid") else len(settings)
    figure, axes = pyplot.subplots(1, panels, figsize=(6.4 * panels, 4.4), squeeze=False, layout="constrained")
    if panels == 1 and drawn in ("points", "grid"):
        {"points": draw_points, "grid": draw_grid}[drawn](axes[0][0], settings)
    else:
        for panel, (point, rows) in zip(axes[0], settings.items(), strict=True):
            {"methods": draw_methods, "tasks": draw_tasks}[drawn](panel, rows)
            panel.set_title(point, fontsize=9)
    if drawn != "grid":
        axes[0][0].set_ylabel("test accuracy, %")
    figure.suptitle(title)
    with writing(path), atomic(path) as file:
        kind = path.suffix.removeprefix(".")
        figure.savefig(file, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    pyplot.close(figure)


def report(folder: Path, out: Path) -> str:
    """Write report.md and the pictures into `out`, from the tables in `folder`; the text of report.md."""
    parts = [f"# The supervised study\n\n{NOTE}"]
    parts += filter(None, [notes(out)])
    studies: dict[tuple[str, str, str], dict[str, list[Row]]] = {}
    for (dataset, model, study, point), rows in by_setting(read(folder, TASKS)).items():
        none_too = STUDIES[study].augments(point)
        compared = [row for row in rows if not (none_too and row["method"] == "augmentation")]
        if compared:
            studies.setdefault((study, dataset, model), {})[point] = compared
    for study, dataset, model in sorted(studies, key=lambda key: (list(STUDIES).index(key[0]), *key[1:])):
        settings = studies[study, dataset, model]
        ordered = {point: settings[point] for point in STUDIES[study].points if point in settings}
        title = f"{study} ({STUDIES[study].figure} of the paper), {dataset}, {model}"
        name = f"{study}-{dataset}-{model}.svg"
        picture(out / name, title, study, ordered)
        parts.append(f"## {title}\n\n![{title}]({name})")
        parts += [f"{said(study, point, rows)}:\n\n{table(rows)}" for point, rows in ordered.items()]
    text = "\n\n".join(parts) + "\n"
    write_text(out / "report.md", text)
    return text


def main(argv: list[str]) -> None:
    """Report what the command line names."""
    parser = Parser("supervised.report", __doc__)
    parser.add_argument("folder", type=user_path, help="tables, or with --collect runs")
    parser.add_argument("--collect", type=user_path, metavar="OUT", help="make the tables here first, from the runs in FOLDER")
    asked = parser.parse_args(argv)
    folder = asked.folder
    if asked.collect is not None:
        collect(asked.folder, asked.collect)
        folder = asked.collect
    place = folder if (folder / TASKS).exists() else folder / "supervised"
    try:
        print(report(folder, place))
    except ModuleNotFoundError as error:
        raise UserError("the report needs matplotlib: pip install -e '.[report]'") from error


if __name__ == "__main__":
    run(main)
