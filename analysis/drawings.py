"""The figures of the report, each drawn from the text of its table."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.canvas import GRID, INK, MUTED, Canvas, Style, key_height, margin, wrapped
from analysis.tables import Table

Looks = dict[str, Style]
Row = dict[str, str]
PUBLISHED, RECALLED = Style(MUTED, "-", "D"), Style(MUTED, "-", "x")  # hollow, cross: no runs of this report

TITLES = {
    "iqm": "IQM",
    "median": "Median",
    "mean": "Mean",
    "optimality_gap": "Optimality gap",
    "dormant": "dormant units",
    "dead": "dead units",
    "zero_activations": "activations that are 0",
    "srank": "srank of the last layer",
    "entropy_rank": "entropy rank of the last layer",
    "weight_norm": "norm of the weights",
    "initial_distance": "distance to the start",
    "tortoise_distance": "distance of hare and tortoise",
    "gradient_norm": "norm of the gradient",
    "zero_gradients": "gradients that are 0",
    "hessian": "top eigenvalue of the Hessian",
}


def aggregates(table: Table, looks: Looks) -> Canvas:
    """An interval for each agent and aggregate, published ones below."""
    measures = ("iqm", "median", "mean", "optimality_gap")
    rows = sorted(table.where(), key=lambda row: float(row["iqm"] or row["median"]))
    names = [row["agent"] for row in rows]
    canvas = Canvas([TITLES[measure] for measure in measures], height(names, 15), margin(names))
    for panel, measure in zip(canvas.panels, measures, strict=True):
        _intervals(panel, names, rows, measure, looks)
        panel.set_xlabel("human-normalised score" if measure != "optimality_gap" else "lower is better")
    return canvas


def height(names: Sequence[str], each: float) -> float:
    """Points that a panel with a row for each of `names` needs; `each` is for names of one line."""
    lines = max(wrapped(name).count("\n") for name in names)
    return 70 + (each + 8 * lines) * len(names)


def _intervals(panel: Axes, names: list[str], rows: list[Row], column: str, looks: Looks) -> None:
    """A mark and a bar from low to high for each row, from below."""
    for index, row in enumerate(rows):
        kind = row.get("kind", "run")
        style = looks[row["agent"]] if kind == "run" else RECALLED if kind == "recalled" else PUBLISHED
        if row[f"{column}_low"]:
            ends = [float(row[f"{column}_low"]), float(row[f"{column}_high"])]
            panel.plot(ends, [index, index], color=style.colour, linewidth=4.5, alpha=0.45, solid_capstyle="butt")
        if row[column]:
            face = "none" if kind != "run" else style.colour
            panel.plot(float(row[column]), index, style.mark, color=style.colour, markerfacecolor=face, markersize=4.5)
    panel.set_yticks(range(len(rows)), [wrapped(name) for name in names], fontsize=9)
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.grid(axis="y", visible=False)


def profiles(table: Table, looks: Looks) -> Canvas:
    """The share of runs above each score."""
    agents = table.values("agent")
    canvas = Canvas(["", "Performance profile"], max(270, key_height(agents)), 52, width=340)
    canvas.key({agent: looks[agent] for agent in agents})
    _curves(canvas.panels[1], table.where(), "threshold", "share", looks)
    canvas.panels[1].set(xlabel="human-normalised score", ylabel="share of runs above it", xlim=(0, 8), ylim=(0, 1))
    canvas.panels[1].set_xscale("function", functions=(np.sqrt, np.square))
    canvas.panels[1].set_xticks([0, 0.25, 0.5, 1, 2, 4, 8], ["0", ".25", ".5", "1", "2", "4", "8"])
    return canvas


def _curves(panel: Axes, rows: list[Row], x: str, y: str, looks: Looks) -> None:
    """A line with its band for each agent."""
    for agent in dict.fromkeys(row["agent"] for row in rows):
        ours = [row for row in rows if row["agent"] == agent]
        style = looks[agent]
        across, value = [float(row[x]) for row in ours], [float(row[y]) for row in ours]
        every = max(1, len(ours) // 6)
        panel.plot(
            across,
            value,
            color=style.colour,
            linestyle=style.dash,
            marker=style.mark,
            markersize=4,
            markevery=(every // 2, every),
        )
        if all(row[f"{y}_low"] for row in ours):
            low, high = ([float(row[f"{y}_{end}"]) for row in ours] for end in ("low", "high"))
            panel.fill_between(across, low, high, color=style.colour, alpha=0.15, linewidth=0)


def improvements(table: Table, looks: Looks) -> Canvas:
    """The matrix of probabilities: the agent of the row over that of the column."""
    agents = table.values("agent")
    left, cell = margin(agents), 40
    size = left + 14 + cell * len(agents)
    canvas = Canvas([""], 12 + 30 * len(agents) + left, left, width=max(size, 240))
    panel = canvas.panels[0]
    across, up = canvas.size
    panel.set_position((left / across, (canvas.foot + left) / up, cell * len(agents) / across, 30 * len(agents) / up))
    for row in table.where():
        x, y = agents.index(row["over"]), agents.index(row["agent"])
        value = float(row["probability"])
        sure = bool(row["probability_low"]) and not float(row["probability_low"]) <= 0.5 <= float(row["probability_high"])
        panel.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, color=colormaps["PuOr"](0.25 + 0.5 * value), linewidth=0)
        panel.text(
            x, y, row["probability"], ha="center", va="center", fontsize=8.5, weight="bold" if sure else "normal", color="k"
        )
    ticks = range(len(agents))
    panel.set_xticks(ticks, [wrapped(a) for a in agents], rotation=90, fontsize=8.5)
    panel.set_yticks(ticks, [wrapped(a) for a in agents], fontsize=8.5)
    panel.set(xlim=(-0.5, len(agents) - 0.5), ylim=(len(agents) - 0.5, -0.5))
    panel.grid(visible=False)
    panel.tick_params(length=0)
    return canvas


def pairs(table: Table, looks: Looks) -> Canvas:
    """Paired differences, a panel for each pair of agents, a row for each game."""
    both = list(dict.fromkeys((row["agent"], row["base"]) for row in table.where()))
    games = [game for game in table.values("game")[::-1] if game != "all"] + ["all"]
    canvas = Canvas([f"{agent}\nminus {base}" for agent, base in both], height(games, 13) + 14, margin([*games, "all games"]))
    for panel, (agent, base) in zip(canvas.panels, both, strict=True):
        rows = table.where(agent=agent, base=base)
        rows.sort(key=lambda row: games.index(row["game"]))
        names = ["all games" if row["game"] == "all" else row["game"] for row in rows]
        _intervals(panel, names, rows, "difference", looks)
        panel.axvline(0, color=INK, linewidth=1)
        panel.set_title(panel.get_title(loc="left"), fontsize=9, loc="left")
        panel.set_xlabel("difference in human-normalised score")
    return canvas


def games(table: Table, looks: Looks) -> Canvas:
    """Raw scores, a panel for each game: bars from the random score on, lines at random and human."""
    found = table.values("agent")
    names = [name for name in looks if name in found]  # ours first, wherever they were played
    names += [name for name in found if name not in (*looks, "human", "random")]
    canvas = Canvas(table.values("game"), height(names, 13) + 6, margin(names))
    for panel, game in zip(canvas.panels, canvas.titles, strict=True):
        random, human = (
            float(table.where(game=game, agent=name, kind="reference")[0]["score"]) for name in ("random", "human")
        )
        rows = {row["agent"]: row for row in table.where(game=game) if row["kind"] != "reference"}
        ordered = [rows.get(name, {"agent": name, "kind": "", "score": "", "score_low": ""}) for name in names[::-1]]
        for index, row in enumerate(ordered):
            if row["kind"] == "run":
                style = looks[row["agent"]]
                width = float(row["score"]) - random
                panel.barh(index, width, left=random, color=style.colour, alpha=0.35, height=0.7)
        _intervals(panel, [row["agent"] for row in ordered], ordered, "score", looks)
        _references(panel, random, human)
    return canvas


def standing(table: Table, looks: Looks) -> Canvas:
    """The share of published runs below each run: a panel for each published agent, a row for each game."""
    games = [game for game in table.values("game")[::-1] if game != "all"] + ["all"]
    names = ["mean" if game == "all" else game for game in games]
    tall = max(height(games, 13), key_height(table.values("agent")))
    canvas = Canvas(["", *(f"Among runs of {name}" for name in table.values("published"))], tall, margin(names))
    canvas.key({agent: looks[agent] for agent in table.values("agent")})
    for panel, name in zip(canvas.panels[1:], table.values("published"), strict=True):
        panel.axvspan(0.025, 0.975, color=GRID, alpha=0.5, linewidth=0)
        for row in table.where(published=name):
            style = looks[row["agent"]]
            panel.plot(float(row["below"]), games.index(row["game"]), style.mark, color=style.colour, markersize=5)
        panel.set_yticks(range(len(games)), names, fontsize=9)
        panel.set(xlim=(-0.03, 1.03), ylim=(-0.7, len(games) - 0.3), xlabel="share of the published runs that are lower")
    return canvas


def _references(panel: Axes, random: float, human: float) -> None:
    """Lines at the random and the human score; where the human's is far off, an arrow."""
    panel.axvline(random, color=MUTED, linestyle=":", linewidth=1.2)
    low, high = panel.get_xlim()
    if human < high + 0.6 * (high - low):
        panel.axvline(human, color=INK, linewidth=1)
        told = ""
    else:
        told = " \N{RIGHTWARDS ARROW}"
    panel.set_xlabel(f"random {random:,.7g}, human {human:,.7g}{told}", color=MUTED, fontsize=8.5)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """A number of a scale: thousands as k."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _course(table: Table, looks: Looks, column: str, values: str, ylabel: str) -> Canvas:
    """A panel for each value of `column`, a curve for each agent."""
    names = table.values(column)
    canvas = Canvas(["", *(TITLES.get(name, name) for name in names)], max(220, key_height(table.values("agent"))), 50)
    canvas.key({agent: looks[agent] for agent in table.values("agent")})
    for panel, name in zip(canvas.panels[1:], names, strict=True):
        _curves(panel, table.where(**{column: name}), "env_step", values, looks)
        _scale(panel)
        panel.set_ylabel(ylabel)
    return canvas


def _scale(panel: Axes) -> None:
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    panel.set_xlabel("env steps")


def learning(table: Table, looks: Looks) -> Canvas:
    """The IQM of training returns over all shared games."""
    canvas = Canvas(["", "All games"], max(260, key_height(table.values("agent"))), 52, width=340)
    canvas.key({agent: looks[agent] for agent in table.values("agent")})
    _curves(canvas.panels[1], table.where(), "env_step", "iqm", looks)
    _scale(canvas.panels[1])
    canvas.panels[1].set_ylabel("IQM, human-normalised")
    return canvas


def learning_games(table: Table, looks: Looks) -> Canvas:
    """The mean training return of every game."""
    return _course(table, looks, "game", "return", "")


def plasticity(table: Table, looks: Looks) -> Canvas:
    """Every measurement of plasticity."""
    return _course(table, looks, "measure", "value", "")


def cost(table: Table, looks: Looks) -> Canvas:
    """Hours and speed of each agent and device: mean, least and most."""
    rows = table.where()[::-1]
    names = [f"{row['agent']} ({row['device']})" for row in rows]
    canvas = Canvas(["Hours a run", "Env steps a second"], height(names, 16), margin(names))
    for panel, column in zip(canvas.panels, ("hours", "env_steps_per_second"), strict=True):
        _intervals(panel, names, rows, column, looks)
        panel.set_xlim(left=0)
    return canvas
