"""The figures of the report, each drawn from its table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.compute.rounding import counted, text
from analysis.draw.canvas import GRID, INK, MUTED, WIDTH, Canvas, Style, fitted, margin, wrapped

Looks = dict[str, Style]
WIDE, TWO_LINES = 400, 50  # points: of a wide panel, of labels in two lines below one
PUBLISHED, RECALLED = Style(MUTED, "-", "D"), Style(MUTED, "-", "x")  # hollow, cross: no runs of this report

PARTS = ("body", "neck", "head")  # of a network: its encoder, hidden layers behind that, output layers

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
    **{f"weight_norm_{part}": f"norm of the weights of the {part}" for part in PARTS},
    **{f"gradient_norm_{part}": f"norm of the gradient of the {part}" for part in PARTS},
    "hessian": "top eigenvalue of the Hessian",
}


def key(table: pd.DataFrame, looks: Looks) -> dict[str, Style]:
    """What the key to a figure of `table` says of each agent."""
    runs = table.groupby("agent", sort=False) if "runs" in table else ()
    names = {agent: f"{agent}: {counted(rows)}" for agent, rows in runs} or {agent: agent for agent in table["agent"].unique()}
    return {name: looks[agent] for agent, name in names.items()}


def aggregates(table: pd.DataFrame, looks: Looks) -> Canvas:
    """An interval for each agent and aggregate, published ones below."""
    measures = ("iqm", "median", "mean", "optimality_gap")
    rows = table.assign(order=table["iqm"].fillna(table["median"]).astype(float)).sort_values("order", kind="stable")
    names = [f"{wrapped(row['agent'])}\n{wrapped(counted(rows.loc[[i]]), 20)}" for i, row in rows.iterrows()]
    canvas = Canvas([TITLES[measure] for measure in measures], height(names, 15), margin(names))
    for panel, measure in zip(canvas.panels, measures, strict=True):
        intervals(panel, names, rows, measure, looks)
        panel.set_xlabel("human-normalised score" if measure != "optimality_gap" else "lower is better")
    return canvas


def height(names: Sequence[str], each: float) -> float:
    """Points that a panel with a row for each of `names` needs; `each` is for names of one line."""
    lines = max(name.count("\n") for name in names)
    return 70 + (each + 11 * lines) * len(names)


def intervals(panel: Axes, names: Sequence[str], rows: pd.DataFrame, column: str, looks: Looks) -> None:
    """A mark and a bar from low to high for each row, from below."""
    for index, row in enumerate(rows.to_dict("records")):
        kind = row.get("kind", "run")
        style = looks[row["agent"]] if kind == "run" else RECALLED if kind == "recalled" else PUBLISHED
        ends = [row[f"{column}_low"], row[f"{column}_high"]]
        if not np.isnan(ends[0]):
            panel.plot(ends, [index, index], color=style.colour, linewidth=4.5, alpha=0.45, solid_capstyle="butt")
        if not np.isnan(row[column]):
            face = "none" if kind != "run" else style.colour
            panel.plot(row[column], index, style.mark, color=style.colour, markerfacecolor=face, markersize=4.5)
    low, high = panel.dataLim.intervalx
    room = 0.1 * max(abs(low), abs(high), 1)
    if high - low < 0.2 * room:  # as of a single run: the numbers below would have so many digits that they touch
        panel.set_xlim((low + high) / 2 - room, (low + high) / 2 + room)
    panel.set_yticks(range(len(rows)), names, fontsize=9)
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.grid(axis="y", visible=False)


def profiles(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The share of runs above each score."""
    by_panel = _with_panel(table, "Performance profile").groupby("panel", sort=False)
    canvas = Canvas(list(by_panel.groups), 270, width=WIDE if len(by_panel) == 1 else WIDTH, key=key(table, looks))
    for panel, (_, rows) in zip(canvas.panels, by_panel, strict=True):
        _curves(panel, rows, "threshold", "share", looks)
        panel.set(xlabel="human-normalised score", ylabel="share of runs above it", xlim=(0, 8), ylim=(0, 1))
        panel.set_xscale("function", functions=(np.sqrt, np.square))
        panel.set_xticks([0, 0.25, 0.5, 1, 2, 4, 8], ["0", ".25", ".5", "1", "2", "4", "8"])
    return canvas


def _with_panel(table: pd.DataFrame, title: str) -> pd.DataFrame:
    """`table`, of which all is in one panel unless it says in which."""
    return table if "panel" in table else table.assign(panel=title)


def _curves(panel: Axes, rows: pd.DataFrame, x: str, y: str, looks: Looks) -> None:
    """A line with its band for each agent."""
    for agent, ours in rows.groupby("agent", sort=False):
        style, every = looks[agent], max(1, len(ours) // 6)
        panel.add_line(style.line(ours[x], ours[y], markevery=(every // 2, every)))
        if ours[f"{y}_low"].notna().all():
            ends = (ours[f"{y}_{end}"].astype(float) for end in ("low", "high"))
            panel.fill_between(ours[x], *ends, color=style.colour, alpha=0.15, linewidth=0)
    panel.autoscale_view()


def improvements(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The matrix of probabilities: the agent of the row over that of the column."""
    agents = list(table["agent"].unique())
    names = [wrapped(agent) for agent in agents]
    left, lines = margin(names), 5 + 10.5 * max(name.count("\n") + 1 for name in names)
    across, down = (max(least, lines) * len(agents) for least in (40, 30))
    canvas = Canvas([""], 12 + down + left, left, max(left + 14 + across, 240))
    panel = canvas.panels[0]
    panel.set_position(canvas.share(left, canvas.corner(0)[1] + left, across, down))
    for row in table.to_dict("records"):
        x, y, value = agents.index(row["over"]), agents.index(row["agent"]), row["probability"]
        sure = row["probability_low"] > 0.5 or row["probability_high"] < 0.5
        panel.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, color=colormaps["PuOr"](0.25 + 0.5 * value), linewidth=0)
        place = {"ha": "center", "va": "center", "fontsize": 8.5, "weight": "bold" if sure else "normal", "color": "k"}
        panel.text(x, y, text(value, "probability"), **place)
    panel.set_xticks(range(len(agents)), names, rotation=90, fontsize=8.5)
    panel.set_yticks(range(len(agents)), names, fontsize=8.5)
    panel.set(xlim=(-0.5, len(agents) - 0.5), ylim=(len(agents) - 0.5, -0.5))
    panel.grid(visible=False)
    panel.tick_params(length=0)
    return canvas


def _with_mean(table: pd.DataFrame) -> list[str]:
    """The games of `table` from below, what is over all of them on top."""
    return [game for game in table["game"].unique()[::-1] if game != "all"] + ["all"]


def pairs(table: pd.DataFrame, looks: Looks) -> Canvas:
    """Paired differences, a panel for each pair of agents, a row for each game."""
    games = _with_mean(table)
    both = table.groupby(["agent", "base"], sort=False)
    left = margin([*games, "all games"])
    titles = [f"{fitted(agent, WIDTH - left, 9)}\n{fitted(f'minus {base}', WIDTH - left, 9)}" for agent, base in both.groups]
    more = 12 * max(title.count("\n") for title in titles)
    canvas = Canvas(titles, height(games, 13) + more, left)
    for panel, (_, rows) in zip(canvas.panels, both, strict=True):
        rows = rows.sort_values("game", key=lambda column: column.map(games.index))
        box = panel.get_position()
        panel.set_position((box.x0, box.y0, box.width, box.height - more / canvas.size[1]))
        intervals(panel, ["all games" if game == "all" else game for game in rows["game"]], rows, "difference", looks)
        panel.axvline(0, color=INK, linewidth=1)
        panel.set_title(panel.get_title(loc="left"), fontsize=9, loc="left")
        panel.set_xlabel("difference in human-normalised score")
    return canvas


def games(table: pd.DataFrame, looks: Looks) -> Canvas:
    """Raw scores, a panel for each game: bars from the random score on, lines at random and human."""
    agents = table["agent"].unique()
    names = [name for name in looks if name in agents]  # ours first, wherever they were played
    names += [name for name in agents if name not in (*looks, "human", "random")]
    by_game = table.groupby("game", sort=False)
    canvas = Canvas(list(by_game.groups), height([wrapped(name) for name in names], 13) + 6, margin([*map(wrapped, names)]))
    for panel, (_, rows) in zip(canvas.panels, by_game, strict=True):
        random, human = (rows.loc[rows["agent"] == name, "score"].iloc[-1] for name in ("random", "human"))
        rows = rows[rows["kind"] != "reference"].set_index("agent").reindex(names[::-1]).reset_index()
        for index, row in enumerate(rows.to_dict("records")):
            if row["kind"] == "run":
                colour = looks[row["agent"]].colour
                panel.barh(index, row["score"] - random, left=random, color=colour, alpha=0.35, height=0.7)
        intervals(panel, [wrapped(name) for name in rows["agent"]], rows, "score", looks)
        _references(panel, random, human)
    return canvas


def ranks(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The share of published runs below each run: a panel for each published agent, a row for each game."""
    games = _with_mean(table)
    names = ["mean" if game == "all" else game for game in games]
    panels = {f"Among runs of {name}": rows for name, rows in table.groupby("published", sort=False)}
    canvas = Canvas(list(panels), height(games, 13), margin(names), key=key(table, looks))
    for panel, rows in zip(canvas.panels, panels.values(), strict=True):
        panel.axvspan(0.025, 0.975, color=GRID, alpha=0.5, linewidth=0)
        for row in rows.itertuples():
            style = looks[row.agent]
            panel.plot(row.below, games.index(row.game), style.mark, color=style.colour, markersize=5)
        panel.set_yticks(range(len(games)), names, fontsize=9)
        panel.set(xlim=(-0.03, 1.03), ylim=(-0.7, len(games) - 0.3), xlabel="share of the published runs that are lower")
    return canvas


def _references(panel: Axes, random: float, human: float) -> None:
    """Lines at the random and the human score; where the human's is far off, an arrow."""
    panel.axvline(random, color=MUTED, linestyle=":", linewidth=1.2)
    low, high = panel.get_xlim()
    is_near = human < high + 0.6 * (high - low)
    if is_near:
        panel.axvline(human, color=INK, linewidth=1)
    arrow = "" if is_near else " \N{RIGHTWARDS ARROW}"
    panel.set_xlabel(f"random {random:,.7g}, human {human:,.7g}{arrow}", color=MUTED, fontsize=8.5)
    panel.xaxis.set_major_formatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    """A number of a scale: thousands as k."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _over_env_steps(table: pd.DataFrame, looks: Looks, column: str, values: str, width: float = WIDTH) -> Canvas:
    """A panel for each value of `column`, a curve for each agent: env steps across, and below them frames, four a step."""
    by_name = table.groupby(column, sort=False)
    titles = [TITLES.get(name, name) for name in by_name.groups]
    canvas = Canvas(titles, 230, width=width, bottom=TWO_LINES, key=key(table, looks))
    for panel, (_, rows) in zip(canvas.panels, by_name, strict=True):
        _curves(panel, rows, "env_step", values, looks)
        panel.xaxis.set_major_formatter(lambda value, _: f"{_short(value)}\n{_short(4 * value)}")
        panel.yaxis.set_major_locator(MaxNLocator(5))
        panel.yaxis.set_major_formatter(lambda value, _: _short(value))
        panel.set_xlabel("env steps, and frames below them", fontsize=9)
    return canvas


def learning(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The IQM of training returns over all shared games."""
    return _over_env_steps(_with_panel(table, "IQM of all games, human-normalised"), looks, "panel", "iqm", WIDE)


def learning_games(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The mean training return of every game."""
    return _over_env_steps(table, looks, "game", "return")


def plasticity(table: pd.DataFrame, looks: Looks) -> Canvas:
    """Every measurement of plasticity."""
    return _over_env_steps(table, looks, "measure", "value")


def cost(table: pd.DataFrame, looks: Looks) -> Canvas:
    """Hours and speed of each agent and device: mean, least and most."""
    rows = table[::-1]
    names = [f"{wrapped(f'{x.agent} ({x.device})')}\n{x.runs} run{'s' * (x.runs > 1)}" for x in rows.itertuples()]
    canvas = Canvas(["Hours a run", "Env steps a second"], height(names, 16), margin(names), width=WIDE)
    for panel, column in zip(canvas.panels, ("hours", "env_steps_per_second"), strict=True):
        intervals(panel, names, rows, column, looks)
        panel.set_xlim(left=0)
    return canvas
