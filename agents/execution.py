"""How an agent's arithmetic is carried out, as a value. No torch here."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Execution:
    """The same update at another speed: results agree up to rounding, and from there on take their own course."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """tf32: products in TensorFloat-32 on a GPU. bf16: the networks' passes of an update in bfloat16; weights, losses, Adam,
    the tortoise and acting stay float32"""
    compiled: bool = False
    """put the loss through torch.compile, on a GPU also the draw and what is noted: up to a minute at the start, less once it
    is cached; needs a compiler"""
    captured: bool = False
    """on a GPU, record the update, its draw from replay included, as a CUDA graph, and the choice of actions as another"""
