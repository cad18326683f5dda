"""The paper's figures with our numbers: a table and a picture for each study, with 95 % intervals over seeds.

python -m supervised.report results/                      # from the tables in results/supervised
python -m supervised.report runs/supervised --collect results/supervised   # makes the tables from runs first
"""

try:
    import analysis  # noqa: F401
except ImportError as error:
    raise SystemExit(f"python -m supervised.report: {error}") from None

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.compute.families import told_apart
from analysis.draw.canvas import COLOURS, MUTED, Style, styles, svg
from analysis.draw.forest import forest
from experiment.command import run
from experiment.files import write_text
from experiment.outside import add_flag, bring_in
from experiment.parser import Parser, user_path
from supervised.differences import differences
from supervised.methods import EVERYTHING, REFERENCES, TABLES, fill
from supervised.studies import STUDIES
from supervised.table import against, collect, final, notes, read, summary, tables_in

SIZE = (6.4, 4.4)  # inches of a panel
NOTE = (
    "Test accuracy in percent at the end of the last task, mean over seeds ± half of the 95 % interval (Student's t). "
    "`test` is the tortoise's where a method is judged by it. `- none`: difference to no method, seed by seed (of how many). "
    "The hare of `ema` is `none`, that of `fresh_ema` is `fresh`: nothing acts on it, so it and what is measured of it "
    "stand there alone. Wrong labels are never by chance right; unless a run says --protocol.convention kept, all labels are "
    "redrawn in every task."
)
DIFFERENCES = (
    "Differences at the end of the last task, seed by seed, to no method (`none`) and to averaging alone (`ema`), by family of "
    "methods. Beyond chance: the 95 % interval leaves out 0. Unadjusted: of twenty methods that do nothing, one has such an "
    "interval by chance. What lies far beyond a scale is told by its number."
)
SAME = {"ema": "none", "fresh_ema": "fresh"}  # whose hare is whose


def looks() -> dict[str, Style]:
    """How each method is drawn, one of the user's too."""
    return styles({name: name for name in EVERYTHING})


def said(study: str, point: str, rows: pd.DataFrame) -> str:
    """What stands above the table of a setting."""
    text = f"Setting `{point}`"
    if STUDIES[study].augments(point):
        text += ", which augments all images (so `augmentation` would be `none`)"
    if rows["held_out"].any():
        text += ", judged by training images that were held out, not by test images"
    flags = {name: ", ".join(f"`{method}`" for method in found.unique()) for name, found in rows.groupby("flags")["method"]}
    if changed := [f"{methods} with `{name}`" for name, methods in flags.items() if name]:
        text += f", other than its methods are by default: {'; '.join(changed)}"
    return text


def table(rows: pd.DataFrame) -> str:
    """A Markdown table of the methods of one setting, best first."""
    names = "| method | test | - none | hare | tortoise | train | zero activations | rank | weight norm | seeds |"
    lines = [names, "|" + " --- |" * 10]
    methods = final(rows)
    for method in sorted(methods, key=lambda name: -methods[name]["test"].mean()):
        found = methods[method]
        difference = against(found["test"], methods["none"]["test"]) if method != "none" and "none" in methods else None
        cells = [f"`{method}`", str(summary(found["test"])), "" if difference is None else f"{difference} ({difference.count})"]
        measured = [_told(found[name]) for name in ("test_hare", "test_tortoise", "train_hare", "zero_activations")]
        measured += [_told(found[name], "{0.mean:.1f}") for name in ("srank", "weight_norm")]
        if SAME.get(method) in methods and _same_hare(found, methods[SAME[method]]):
            measured = [measured[1] if i == 1 else f"`{SAME[method]}`" for i in range(len(measured))]
        lines.append("| " + " | ".join([*cells, *measured, str(len(found))]) + " |")
    return "\n".join(lines)


def _same_hare(found: pd.DataFrame, base: pd.DataFrame) -> bool:
    """Whether the hare of each seed in `found` stands in `base`, by its accuracy: flags may differ, and seeds."""
    return bool((found["test_hare"] == base["test_hare"].reindex(found.index)).all())


def _told(values: pd.Series, form: str = "{0}") -> str:
    """The mean of the `values` that seeds have, and of how many if not of all; nothing if there are none."""
    known = values.dropna()
    if known.empty:
        return ""
    return form.format(summary(known)) + (f" ({len(known)})" if len(known) < len(values) else "")


def _percent(parts: list[pd.Series]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each of `parts` over seeds, and half of its interval, in percent; 0 where one seed has none."""
    means = [summary(part) for part in parts]
    return np.array([100 * m.mean for m in means]), np.array([100 * (m.half or 0) for m in means])


def draw_methods(panel: Axes, points: dict[str, pd.DataFrame]) -> None:
    """A point with its interval for each method; bounds are lines across too."""
    (rows,) = points.values()
    by_name = final(rows)
    methods = {name: by_name[name] for name in EVERYTHING if name in by_name}
    for i, (method, found) in enumerate(methods.items()):
        value, half = _percent([found["test"]])
        bound = method == "none" or method in REFERENCES
        colour = COLOURS[1] if method == "ht" else MUTED if bound else COLOURS[0]
        panel.errorbar([i], value, half, color=colour, marker="o", capsize=3)
        if bound:
            panel.axhline(value[0], color=MUTED, linestyle=":", linewidth=1)
    panel.set_xticks(range(len(methods)), methods, rotation=60, ha="right")


def draw_tasks(panel: Axes, points: dict[str, pd.DataFrame]) -> None:
    """A line for each method, over the tasks."""
    (rows,) = points.values()
    for method in (name for name in EVERYTHING if name in set(rows["method"])):
        by_task = rows[rows["method"] == method].groupby("task")["test"]
        values, half = _percent([part for _, part in by_task])
        style = looks()[method]
        look = {"color": style.colour, "linestyle": style.dash, "label": method}
        if len(values) == 1:
            panel.axhline(values[0], **look)
            continue
        tasks = np.array(list(by_task.groups)) + 1
        panel.plot(tasks, values, marker=style.mark, markersize=4, **look)
        panel.fill_between(tasks, values - half, values + half, color=look["color"], alpha=0.12, linewidth=0)
    panel.set_xlabel("task")
    panel.legend(frameon=False, fontsize=7, ncols=2)


def draw_points(panel: Axes, points: dict[str, pd.DataFrame]) -> None:
    """A line for each method, over the points of a study."""
    found = {point: final(rows) for point, rows in points.items()}
    for method in (name for name in EVERYTHING if any(name in methods for methods in found.values())):
        places = [i for i, methods in enumerate(found.values()) if method in methods]
        values, half = _percent([methods[method]["test"] for methods in found.values() if method in methods])
        style = looks()[method]
        panel.errorbar(places, values, half, color=style.colour, marker=style.mark, label=method, capsize=3)
    panel.set_xticks(range(len(points)), points, rotation=60, ha="right")
    panel.legend(frameon=False)


def draw_grid(panel: Axes, points: dict[str, pd.DataFrame]) -> None:
    """What warm-starting costs, none - fresh, for each subset and noise."""
    shares, noises = (sorted({float(point.split("x")[i]) for point in points}) for i in (0, 1))
    for point, rows in points.items():
        methods = final(rows)
        cost = against(methods["none"]["test"], methods["fresh"]["test"]) if {"none", "fresh"} <= methods.keys() else None
        if cost is not None:
            share, noise = (float(part) for part in point.split("x"))
            x, y = shares.index(share), noises.index(noise)
            depth = min(max(-cost.mean * 20, 0), 1)  # five points of accuracy are the darkest
            panel.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, color=(1, 1 - depth * 0.6, 1 - depth * 0.8))
            panel.text(x, y, f"{cost} ({cost.count})", ha="center", va="center", fontsize=7)
    panel.set_xticks(range(len(shares)), shares)
    panel.set_yticks(range(len(noises)), noises)
    panel.set(xlabel="share of the first task", ylabel="its label noise")
    panel.set(xlim=(-0.5, len(shares) - 0.5), ylim=(-0.5, len(noises) - 0.5))


def picture(path: Path, title: str, study: str, points: dict[str, pd.DataFrame]) -> None:
    """Draw one study on one data set and model: a panel for all its points, or for each."""
    kind = STUDIES[study].axis
    draw = {"points": draw_points, "grid": draw_grid, "methods": draw_methods, "tasks": draw_tasks}[kind]
    panels = [points] if kind in ("points", "grid") else [{point: rows} for point, rows in points.items()]
    figure = Figure(figsize=(SIZE[0] * len(panels), SIZE[1]), layout="constrained")
    for panel, shown in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(panel, shown)
        if shown is not points:
            panel.set_title(next(iter(shown)), fontsize=9)
    if kind != "grid":
        figure.axes[0].set_ylabel("test accuracy, %")
    figure.suptitle(title)
    write_text(path, svg(figure, "supervised"))


def intervals(folder: Path, name: str, points: dict[str, pd.DataFrame]) -> list[str]:
    """Draw the differences of the methods at each of `points`, on one page; what they say. Nothing where methods are few."""
    found = {point: differences(rows) for point, rows in points.items()}
    many = {point: table for point, table in found.items() if len(table)}
    if not many:
        return []
    panels = [table.assign(base=table["base"] + f", {point}") for point, table in many.items()]
    canvas = forest(pd.concat(panels, ignore_index=True), "test accuracy, points of percent")
    write_text(folder / name, svg(canvas.figure, "supervised"))
    said = [f"- `{point}`: {sentence}" for point, table in many.items() for sentence in told_apart(table)]
    return [f"![differences]({name})", DIFFERENCES, "\n".join(said)]


def report(folder: Path) -> str:
    """Write report.md and the pictures beside the tables in `folder`, from these; the text of report.md."""
    parts = [f"# The supervised study\n\n{NOTE}", *filter(None, [notes(folder)])]
    rows = read(folder)
    is_none = [STUDIES[row.study].augments(row.point) and row.method == "augmentation" for row in rows.itertuples()]
    by_study = rows[~np.array(is_none, bool)].groupby(["study", "dataset", "model"])
    for (study, dataset, model), found in sorted(by_study, key=lambda pair: list(STUDIES).index(pair[0][0])):
        by_point = dict(iter(found.groupby("point")))
        points = {point: by_point[point] for point in STUDIES[study].points if point in by_point}
        title = f"{study} ({STUDIES[study].figure} of the paper), {dataset}, {model}"
        name = f"{study}-{dataset}-{model}.svg"
        picture(folder / name, title, study, points)
        parts.append(f"## {title}\n\n![{title}]({name})")
        parts += intervals(folder, f"{study}-{dataset}-{model}-differences.svg", points)
        parts += [f"{said(study, point, rows)}:\n\n{table(rows)}" for point, rows in points.items()]
    text = "\n\n".join(parts) + "\n"
    write_text(folder / "report.md", text)
    return text


def main(argv: list[str]) -> None:
    """Report what the command line names."""
    parser = Parser("supervised.report", __doc__)
    parser.add_argument("folder", type=user_path, help="tables, or with --collect runs")
    parser.add_argument("--collect", type=user_path, metavar="OUT", help="make the tables here first, from the runs in FOLDER")
    add_flag(parser)
    asked = parser.parse_args(argv)
    bring_in(asked.imports, TABLES, fill)
    if asked.collect is not None:
        collect(asked.folder, asked.collect)
    print(report(tables_in(asked.collect or asked.folder)))


if __name__ == "__main__":
    run(main)
