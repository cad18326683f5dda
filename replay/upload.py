"""From the host to the learner's device, without waiting for it."""

import numpy as np
import torch
from torch import Tensor


def upload(values: Tensor | np.ndarray, device: torch.device) -> Tensor:
    """`values` on `device`; to a GPU by way of pinned memory, so that the copy is queued behind the work that is under way."""
    tensor = torch.as_tensor(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
