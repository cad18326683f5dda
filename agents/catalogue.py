"""Every agent by name: a base, and any methods behind it, as in `spr`, `spr_ht`, `der_dopamine_ht_wd`.

python -m agents.catalogue     writes the tables of agents into docs/agents.md
"""

import re
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path

from agents.bases import BASES, RANDOM, Base
from agents.config import AgentConfig
from hare_tortoise.methods import METHODS as ALL_METHODS
from hare_tortoise.methods import Use, check_methods
from hare_tortoise.ranges import require

BASE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")  # how a base may be called
TABLES = (ALL_METHODS, BASES)  # which a module of the user's may add to; `fill` then makes these of them:
METHODS: dict[str, Use] = {}
AGENTS: dict[str, AgentConfig] = {}


def compose(base: str, methods: Sequence[str]) -> AgentConfig:
    """The agent of `base` with `methods`. ValueError, one line, if they mean nothing together."""
    start = config = BASES[base].config
    claimed: dict[str, str] = {}
    for method in methods:
        alone = METHODS[method].apply(start)
        if not isinstance(alone, AgentConfig):  # not refused in a line alone, with which `fill` would go on
            raise TypeError(f"the method {method!r} makes of an agent's settings a {type(alone).__name__}, not settings")
        touched = changed(start, alone)
        if not touched:
            raise ValueError(f"{base}_{method} would be {base}: it has that already")
        for field in sorted(touched):
            if field in claimed:
                raise ValueError(f"{claimed[field]} and {method} both change {field}: an agent has one of them at most")
            claimed[field] = method
        config = alone if config is start else METHODS[method].apply(config)
    return config


def changed(before: AgentConfig, after: AgentConfig) -> set[str]:
    """Which fields differ: a piece that may be None as a whole, of any other piece the fields in it."""
    differing: set[str] = set()
    for field in fields(AgentConfig):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new:
            continue
        optional = field.default is None
        if optional or not (is_dataclass(old) and is_dataclass(new)):
            differing.add(field.name)
        else:
            differing |= {f"{field.name}.{f.name}" for f in fields(new) if getattr(old, f.name) != getattr(new, f.name)}
    return differing


def find_agent(name: str) -> AgentConfig:
    """The agent called `name`. ValueError, one line, if there is none; a misspelt name is answered with those it could be."""
    return AGENTS[name] if name in AGENTS else compose(*parts(name))


def parts(name: str) -> tuple[str, list[str]]:
    """The base and the methods that an agent's name is made of. ValueError, as for `find_agent`."""
    if name in BASES or name == "random":
        return name, []
    bases = [base for base in BASES if name.startswith(f"{base}_")]
    if not bases:
        methods = f" Behind a base there may be methods, as in spr_ht: {', '.join(METHODS)}"
        raise ValueError(f"unknown agent {name!r}: {_nearest(name, methods)}")
    base = max(bases, key=len)
    chosen = name.removeprefix(f"{base}_").split("_")
    for method in chosen:
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r} in {name!r}: {_nearest(name)} The methods are {', '.join(METHODS)}")
    ordered = [method for method in METHODS if method in chosen]
    if chosen != ordered:
        raise ValueError(f"the name of this agent is {'_'.join([base, *ordered])}")
    return base, chosen


def _nearest(name: str, otherwise: str = "") -> str:
    """Which agents `name` could be; if none is near, all bases and what is to be said `otherwise`."""
    near = get_close_matches(name, AGENTS, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are random, {', '.join(BASES)}.{otherwise}"


def fill() -> None:
    """Make METHODS and AGENTS anew: every base, and every base with each method that changes it and goes with it.

    ValueError, one line, for an entry that cannot be: no name of an agent may mean two.
    """
    check_methods()
    METHODS.clear()
    METHODS.update({name: method.agents for name, method in ALL_METHODS.items() if method.agents is not None})
    AGENTS.clear()
    AGENTS["random"] = RANDOM
    for name, base in BASES.items():
        named = isinstance(name, str) and BASE.fullmatch(name) is not None
        require(named and name not in (*AGENTS, "help"), f"no base can be called {name!r}")
        last = name.rpartition("_")[2]
        require(last not in METHODS, f"the base {name!r} and a method {last!r} could not be told apart")
        whole = isinstance(base, Base) and isinstance(base.config, AgentConfig) and isinstance(base.gflop, (int, float))
        require(whole, f"the base {name!r} is no Base(AgentConfig(...), what, source, gflop)")
        AGENTS[name] = base.config
        for method in METHODS:
            with suppress(ValueError):  # what means nothing together
                AGENTS[f"{name}_{method}"] = compose(name, [method])


fill()


def tables() -> str:
    """Two Markdown tables, of the bases and of the methods."""
    bases = [["agent", "what it is", "source", "encoder", "updates an env step", "GFLOP an update"], ["---"] * 6]
    for name, base in BASES.items():
        e = base.config.encoder
        width = f" x {e.width}" if e.width > 1 else ""
        encoder = f"{e.kind}{width}, {e.padding}" if e.kind == "nature" else f"{e.kind}{width}"
        ratio = f"{base.config.replay.ratio:g}"
        bases.append([f"`{name}`", base.what, base.source, encoder, ratio, f"{base.gflop:.3g}"])
    methods = [["method", "what changes", "source", "added to an update"], ["---"] * 4]
    methods += [[f"`_{name}`", how.changes, how.source, ALL_METHODS[name].cost] for name, how in METHODS.items()]
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in table) for table in (bases, methods))


def on_page(text: str) -> str:
    """The `text` of docs/agents.md with these tables between its two marks."""
    begin, end = "<!-- agents: python -m agents.catalogue -->", "<!-- end of agents -->"
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{tables()}\n{end}{after}"


def help_text() -> str:
    """What `--agent help` prints: the tables for a terminal of 100 columns."""
    lines = ["An agent is a base and any methods behind it, in this order: spr, spr_ht, der_dopamine_ht_wd.", "", "Bases"]
    for name, base in BASES.items():
        c = base.config
        facts = f"{base.what} ({base.source}); {c.replay.ratio:g} updates an env step, {base.gflop:.3g} GFLOP each"
        lines += _entry(name, facts)
    lines += [*_entry("random", "the policy of the published random scores"), "", "Methods"]
    for name, how in METHODS.items():
        lines += _entry(f"_{name}", f"{how.changes} ({how.source}); adds to an update: {ALL_METHODS[name].cost}")
    return "\n".join(lines)


def _entry(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=f"  {name:16}", subsequent_indent=" " * 18)


if __name__ == "__main__":
    page = Path(__file__).parent.parent / "docs/agents.md"
    page.write_text(on_page(page.read_text()))
