"""How an agent's arithmetic is carried out, as a value. No torch here."""

from dataclasses import dataclass
from typing import Literal

Switch = bool | Literal["auto"]


@dataclass(frozen=True)
class Execution:
    """The same update at another speed: results agree up to rounding, and from there on take their own course.

    What is `auto` is chosen by the device and the length of the run (`agents.engine.settle`); from then on it is the run's.
    """

    precision: Literal["auto", "float32", "tf32", "bf16"] = "float32"
    """tf32: products in TensorFloat-32, which a GPU of compute capability 8.0 takes by auto. bf16: the networks' passes of an
    update in bfloat16; weights, losses, Adam, the tortoise and acting stay float32"""
    compiled: Switch = False
    """put the loss through torch.compile, on a GPU all of an env step but its random draws: a minute at the start, less once it
    is cached; needs a compiler. auto: in a run that is long enough to earn that"""
    captured: Switch = False
    """on a GPU, record the update, its draw from replay included, as a CUDA graph, the choice of actions as another, and as a
    third what an env step adds to replay. auto: wherever there is one"""
    deterministic: bool = False
    """on a GPU, the same bits each time: only kernels that add in a fixed order, at a cost. A CPU's always do"""


AUTO = Execution("auto", "auto", "auto")
