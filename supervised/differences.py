"""Every method of a setting against none and against averaging alone, seed by seed, by family; no torch here."""

import math

import pandas as pd

from analysis.compute.families import by_family
from hare_tortoise.methods import METHODS
from supervised.methods import REFERENCES
from supervised.table import against, final

BASES = ("none", "ema")  # nothing, and averaging alone
OWN = {"augmentation": "data", "distillation": "average"}  # families of the methods that agents have not
FEWEST = 2  # methods that are worth a page of intervals


def family_of(method: str) -> str:
    """The family of `method`, or what else it is."""
    return "reference" if method in REFERENCES else OWN[method] if method in OWN else METHODS[method].family


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy at the end of the last task, in points of percent, minus that of each of `BASES`, of one setting.

    A row for each base and method, with base, family, method, pairs (of seeds that both have) and difference with its interval.
    None if there are too few methods.
    """
    methods, found = final(rows), []
    for base in (name for name in BASES if name in methods):
        for method in (name for name in methods if name not in (base, "none")):
            mean = against(methods[method]["test"], methods[base]["test"])
            if mean is not None:
                half = math.nan if mean.half is None else mean.half
                ends = (100 * x for x in (mean.mean, mean.mean - half, mean.mean + half))
                found.append((base, family_of(method), method, mean.count, *ends))
    columns = ["base", "family", "method", "pairs", "difference", "difference_low", "difference_high"]
    made = by_family(pd.DataFrame(found, columns=columns))
    return made if made.loc[made["family"] != "reference", "method"].nunique() >= FEWEST else made[:0]
