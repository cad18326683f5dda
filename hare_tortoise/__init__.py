"""Keep networks plastic: the hare-and-tortoise rule of Lee et al. (2024) and the methods beside it, for any PyTorch network.

from hare_tortoise import HareTortoise
pair = HareTortoise(model, optimizer, decay=0.999, reset_every=1_000)
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Imported when they are asked for: settings and methods are read without torch.
_HOME = {
    "HareTortoise": "hare_tortoise",
    "Injectable": "injection",
    "Layer": "network",
    "Network": "network",
    "Upkeep": "upkeep",
    "check": "network",
    "reset_": "reset",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
