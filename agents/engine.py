"""Carries out what `Execution` asks for: eager, compiled, or recorded as a CUDA graph; the functions are the same."""

import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from agents.execution import Execution
from hare_tortoise.step import Prepare, leave

WARMUP = 3  # calls before a function is recorded, so that libraries and Adam have what they allocate once (PyTorch's advice)
# Updates in a run that earn what it takes to compile them, on a CPU 20 to 60 s at first (benchmarks/LEDGER.md); ours.
EARNED = 20_000
# Versions of a compiled function in a process, beyond which torch would run the next one eager and not say so. By its default
# the eighth agent's Adam is such a one.
VERSIONS = 256
PLAIN = "slower, without compiler and graphs: --execution.compiled off --execution.captured off"


def settle(execution: Execution, device: torch.device, updates: int | None = None) -> Execution:
    """`execution` with what is fastest on `device` for each auto, in a run of so many `updates`, None if nobody knows."""
    on_gpu = device.type == "cuda"
    fitting: dict[str, Callable[[], Any]] = {
        "precision": lambda: "tf32" if on_gpu and torch.cuda.get_device_capability(device) >= (8, 0) else "float32",
        "compiled": lambda: (updates or 0) >= EARNED and not _missing_compiler(device),
        "captured": lambda: on_gpu,
    }
    return replace(execution, **{name: fit() for name, fit in fitting.items() if getattr(execution, name) == "auto"})


def check_execution(execution: Execution, device: torch.device) -> None:
    """ValueError, naming the flag, if `device` cannot do what is asked."""
    on_gpu = device.type == "cuda"
    if execution.captured and not on_gpu:
        raise ValueError("--execution.captured records CUDA graphs, and this run computes on the CPU")
    if execution.precision == "tf32" and not (on_gpu and torch.cuda.get_device_capability(device) >= (8, 0)):
        raise ValueError("--execution.precision tf32 needs a GPU of compute capability 8.0 or newer")
    if execution.precision == "bf16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError("--execution.precision bf16: this GPU has no bfloat16; use float32")


def configure(execution: Execution, device: torch.device) -> None:
    """Set how products are computed on a GPU. torch keeps that for the whole process, so programs say it, and no `Agent`."""
    torch.set_float32_matmul_precision("high" if execution.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = execution.precision == "tf32"  # by default convolutions would take it
    torch.backends.cudnn.deterministic = execution.deterministic
    torch.backends.cudnn.benchmark = not execution.deterministic  # in the calls before a function is recorded
    always = execution.deterministic and device.type == "cuda"
    if always != torch.are_deterministic_algorithms_enabled():  # to set it loads torch's compiler, for three seconds
        torch.use_deterministic_algorithms(always)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written


def prepare(execution: Execution, device: torch.device) -> Prepare:
    """What compiles functions, or leaves them as they are."""
    if not execution.compiled:
        return leave
    missing = _missing_compiler(device)
    if missing:
        print(f"--execution.compiled: {missing}; the update runs without it", file=sys.stderr)
        return leave
    torch._logging.set_logs(dynamo=logging.ERROR)  # it would tell of each thing in Adam that it leaves out
    torch._dynamo.config.recompile_limit = VERSIONS
    if device.type == "cpu":
        return partial(torch.compile, dynamic=False)
    from agents.rewrite import OneWeightGradient  # here: it loads torch's compiler

    # Many small kernels become one: an update of der has 108 in place of 143 (benchmarks/LEDGER.md).
    options = {"combo_kernels": True, "joint_custom_post_pass": OneWeightGradient()}
    return partial(torch.compile, dynamic=False, options=options)


def casting(execution: Execution, device: torch.device) -> torch.autocast:
    """The context in which the networks' passes of an update are carried out."""
    return torch.autocast(device.type, torch.bfloat16, enabled=execution.precision == "bf16")


def _missing_compiler(device: torch.device) -> str | None:
    """What torch.compile would look for in vain, or None. A compiler is tried once: later it would fail in 90 lines."""
    on_gpu = device.type == "cuda"
    if on_gpu and not importlib.util.find_spec("triton"):
        return "Triton is not installed"
    # Triton makes what starts its kernels with a C compiler and Python's headers.
    language, variable, names = ("c", "CC", ["gcc", "clang"]) if on_gpu else ("c++", "CXX", ["g++", "clang++"])
    names = [os.environ[variable]] if variable in os.environ else names
    compiler = next(filter(shutil.which, names), None)
    if compiler is None:
        return f"there is no {language.upper()} compiler ({' or '.join(names)})"
    with tempfile.TemporaryDirectory() as place:
        command = [compiler, "-x", language, "-", "-shared", "-fPIC", "-o", f"{place}/library.so"]
        command += [f"-I{sysconfig.get_path('include')}"] if on_gpu else []
        source = b"#include <Python.h>\n" if on_gpu else b"#include <vector>\n"
        try:
            tried = subprocess.run(command, input=source, capture_output=True)
        except OSError as error:
            return f"the {language.upper()} compiler {compiler} does not work ({error.strerror})"
        made = tried.returncode == 0 and os.path.exists(f"{place}/library.so")
    if made:
        return None
    return f"the {language.upper()} compiler {compiler} does not work{', or there is no Python.h' if on_gpu else ''}"


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # that a terminal or a scheduler sends to all at once
HALF_MADE = re.compile(r"(/\S+\.so): (?:file too short|invalid ELF header)")


@contextmanager
def compiling() -> Iterator[None]:
    """Within, programs that are started hear no `SIGNALS`, and this one hears them at its end.

    A compiler that Ctrl-C ends would end this program with its error, and leave half a library in torch's cache, at which
    every later program would fail. One that is killed leaves it all the same: it is deleted as soon as it is met, and the
    RuntimeError has a note of that.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    except RuntimeError as error:
        if found := HALF_MADE.search(str(error)):
            Path(found[1]).unlink(missing_ok=True)
            error.add_note(f"{found[1]} was half made, by a compiler that was killed. It is deleted: the same command goes on")
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Captured:
    """A function without arguments, on a GPU, that turns into one CUDA graph.

    It may only change tensors of fixed address, and must not wait for the device. The first calls run it as it is, the next
    one records it, and from then on the record is replayed. Each call does the function's work once; what it returns are
    the same tensors each time, overwritten.
    """

    def __init__(self, function: Callable[[], Any], generators: Iterable[torch.Generator] = ()) -> None:
        """`generators`: all that `function` draws from."""
        self._function, self._generators = function, list(generators)
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Any = None

    def __call__(self) -> Any:
        """Do the function's work; what it returns. A RuntimeError of the first calls has a note on what would avoid it."""
        self._calls += 1
        try:
            if self._calls <= WARMUP:
                with compiling() if self._calls == 1 else nullcontext():  # what is compiled is compiled now
                    self._result = _aside(self._function)
                return self._result
            if self._graph is None:
                self._graph, self._result = _record(self._function, self._generators)
        except RuntimeError as error:  # a compiler's, a library's or the driver's
            error.add_note(PLAIN)
            raise
        self._graph.replay()
        return self._result


@cache
def _side() -> torch.cuda.Stream:
    """The stream beside the current one. There is one of them: on each that multiplies cuBLAS keeps 32 MB of an H100."""
    return torch.cuda.Stream()


def _aside(function: Callable[[], Any]) -> Any:
    """Run `function` on another stream, as it will be recorded; the current stream waits for it."""
    stream, current = _side(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        result = function()
    current.wait_stream(stream)
    return result


def _record(function: Callable[[], Any], generators: Iterable[torch.Generator]) -> tuple[torch.cuda.CUDAGraph, Any]:
    """The graph of `function`, which is not run, and what it will return."""
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        if hasattr(graph, "register_generator_state"):  # later versions of PyTorch find them by themselves
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        result = function()
    return graph, result
