"""One thread of torch for each worker, and a finished run of the toy game to copy.

The workers are the parallelism, and more threads than cores wait for each other. What takes seconds to import is imported in
the fixtures: the process that hands out the tests reads this file, too, before it starts the workers.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.toy_run import TOY, run_folder

# Where a test has two threads of torch, they sleep while they wait; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The --out of TOY's run, finished, with two checkpoints; for all tests of a worker, so only to be read."""
    import train

    out = tmp_path_factory.mktemp("toy")
    train.main([*TOY, "--checkpoint-every", "10", "--device", "cpu", "--out", str(out)])
    return out


@pytest.fixture
def finished(toy_run: Path, tmp_path: Path) -> Path:
    """The folder of TOY's finished run in --out `tmp_path`, a copy of this test's own."""
    shutil.copytree(toy_run, tmp_path, dirs_exist_ok=True)
    return run_folder(tmp_path)
