"""The flags of `Execution`, for benchmarks that take them."""

import argparse

import torch

from agents.engine import check_execution
from agents.execution import Execution


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Add the device and the ways of execution to `parser`."""
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "bf16"])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--captured", action="store_true")


def read_execution(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> tuple[Execution, torch.device]:
    """What was `asked` for; one line and exit status 2 if the device cannot do it."""
    execution, device = Execution(asked.precision, asked.compiled, asked.captured), torch.device(asked.device)
    try:
        check_execution(execution, device)
    except ValueError as error:
        parser.error(str(error))
    return execution, device
