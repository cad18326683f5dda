"""The rule under DistributedDataParallel: two processes on the CPU come to one tortoise."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from hare_tortoise import HareTortoise

PROCESSES = 2


def learn(rank: int, folder: str, compiled: bool) -> None:
    """Train a network with batch normalisation on other data than the other process, and write down the pair."""
    torch.set_num_threads(1)
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    torch.manual_seed(rank)  # the wrapper makes the weights equal
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    hare = nn.parallel.DistributedDataParallel(net)
    hare = torch.compile(hare, backend="eager") if compiled else hare
    optimizer = torch.optim.Adam(hare.parameters(), lr=0.05)
    pair = HareTortoise(hare, optimizer, decay=0.8, reset_every=3)
    for _ in range(7):
        loss = pair.hare(torch.randn(16, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pair.step()
    torch.save({"hare": net.state_dict(), "tortoise": pair.tortoise.state_dict()}, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own ways
@pytest.mark.parametrize("compiled", [False, True])
def test_two_processes_have_one_tortoise(compiled: bool, tmp_path: Path) -> None:
    mp.start_processes(learn, (str(tmp_path), compiled), nprocs=PROCESSES, start_method="fork")
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES))
    for name, value in first["tortoise"].items():
        assert torch.equal(value, second["tortoise"][name]), name
    assert any(not torch.equal(value, second["hare"][name]) for name, value in first["hare"].items() if "running" in name)
    assert all(torch.equal(value, second["hare"][name]) for name, value in first["hare"].items() if "weight" in name)
