"""Student's t: how wide the interval of a mean of few numbers is."""

import numpy as np

POINTS = 2001  # of the integral
MOST = 1000.0  # degrees of freedom; beyond, the quantile is 1.96 to two digits


def quantile(freedom: float) -> float:
    """The 97.5 % point of Student's t with `freedom` degrees of freedom, at least 1 and not necessarily whole.

    With x = sqrt(freedom) tan(angle) the density becomes cos(angle) ** (freedom - 1), which is integrated numerically.
    """
    freedom = min(freedom, MOST)
    angle = np.linspace(0, np.pi / 2, POINTS)
    density = np.cos(angle) ** (freedom - 1)
    area = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    return float(np.sqrt(freedom) * np.tan(np.interp(0.95 * area[-1], area, angle)))
