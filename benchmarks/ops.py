"""Counts what an update dispatches, the nearest that a CPU comes to the kernels that a GPU is sent; and on a GPU these."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch._ops import OpOverload
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode


class Operators(TorchDispatchMode):
    """A context that counts the operators in it which compute or copy; what only looks at a tensor in another way does neither.

    An operator on a list of tensors counts once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: OpOverload, _: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        returns = function._schema.returns
        looks = bool(returns) and all(out.alias_info is not None and not out.alias_info.is_write for out in returns)
        name = function.overloadpacket.__name__
        if function.namespace == "aten" and not looks and name not in ("_unsafe_view", "detach"):
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


# What kernels of a GPU are called, by what they do; the first that fits.
KINDS = {
    "convolution": "fprop|dgrad|wgrad|conv|implicit",
    "layout and padding": "nhwc|nchw|AddPadding|convertTensor",
    "product": "gemm|splitK|cutlass|sgemm|gemv",
    "Adam, average, norms": "multi_tensor|fused_adam|lpnorm",
    "compiled": "triton",
    "copy": "Memcpy|Memset|copy_kernel",
    "other": "",
}


def kernels(work: Callable[[], object]) -> dict[str, tuple[int, float]]:
    """How many kernels of each kind `work` starts on the GPU, and the seconds that they take."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
        torch.cuda.synchronize()
    found = dict.fromkeys(KINDS, (0, 0.0))
    for event in seen.events():
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation:
            kind = next(kind for kind, names in KINDS.items() if re.search(names, event.name, re.IGNORECASE))
            count, seconds = found[kind]
            found[kind] = count + 1, seconds + 1e-6 * event.self_device_time_total
    return {kind: figures for kind, figures in found.items() if figures[0]}
