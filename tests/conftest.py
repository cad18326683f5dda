"""One thread of torch for each worker: the workers are the parallelism, and more threads than cores wait for each other."""

import torch

torch.set_num_threads(1)
