"""One thread of torch for each worker: the workers are the parallelism, and more threads than cores wait for each other."""

import shutil
from pathlib import Path

import pytest
import torch

import train
from tests.toy_run import TOY, run_folder

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The --out of TOY's run, finished, with two checkpoints; for all tests of a worker, so only to be read."""
    out = tmp_path_factory.mktemp("toy")
    train.main([*TOY, "--checkpoint-every", "10", "--device", "cpu", "--out", str(out)])
    return out


@pytest.fixture
def finished(toy_run: Path, tmp_path: Path) -> Path:
    """The folder of TOY's finished run in --out `tmp_path`, a copy of this test's own."""
    shutil.copytree(toy_run, tmp_path, dirs_exist_ok=True)
    return run_folder(tmp_path)
