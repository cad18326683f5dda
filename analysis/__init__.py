"""From run folders and tables to a report: `read` reads and checks, `compute` computes, `draw` draws; programs are beside them.

from analysis import load
runs, curves, plasticity = load("runs", "results")
"""

from importlib.util import find_spec

if _missing := [name for name in ("pandas", "scipy", "matplotlib", "jinja2") if find_spec(name) is None]:
    raise ImportError(f"there is no {', '.join(_missing)}: pip install -e '.[report]'", name="analysis")

from analysis.read.load import load

__all__ = ["load"]
