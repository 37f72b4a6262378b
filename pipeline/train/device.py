"""Where and how the numbers are computed: device, precision, determinism, compilation."""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch

from pipeline.config import TrainConfig
from pipeline.errors import SllamaError

_log = logging.getLogger(__name__)

# Compiling takes 4-60 s. Below this many floating-point operations a run ends sooner without it.
# A count and no measured time, so that a resumed run decides as the interrupted one did.
COMPILE_ABOVE_FLOPS = {"cpu": 1e14, "cuda": 5e14}

_CPUINFO = Path("/proc/cpuinfo")

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Numerics:
    """The device, and what is computed in which precision.

    bfloat16 means autocast for the trunk on CUDA; on the CPU, where its elementwise kernels gain
    nothing from it, only the head's products are in bfloat16.
    """

    device: torch.device
    precision: Precision

    @property
    def head_dtype(self) -> torch.dtype:
        """Type of the head's matrix products."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    @property
    def has_kernels(self) -> bool:
        """Whether this repository's Triton kernels can be used: on a GPU, in bfloat16."""
        on_gpu = self.device.type == "cuda" and self.precision == "bfloat16"
        return on_gpu and find_spec("triton") is not None

    def autocast(self) -> AbstractContextManager[object]:
        """Context of the trunk's forward pass."""
        if self.precision == "bfloat16" and self.device.type == "cuda":
            return torch.autocast("cuda", torch.bfloat16)
        return nullcontext()


def choose_numerics(config: TrainConfig) -> Numerics:
    """Return what the recipe asks for, as far as this machine has it.

    bfloat16 on hardware without bfloat16 matrix units is computed in float32, and a warning says
    so. SllamaError: CUDA asked for and absent.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise SllamaError(
            "train.device is cuda, and torch sees no CUDA device; set it to auto or cpu"
        )
    device = torch.device("cuda" if uses_cuda(config) else "cpu")
    precision: Precision = config.precision
    if precision == "bfloat16" and not _has_bfloat16_units(device):
        _log.warning("no bfloat16 matrix units on this %s: computing in float32", device.type)
        precision = "float32"
    return Numerics(device, precision)


def uses_cuda(config: TrainConfig) -> bool:
    """Tell whether the recipe runs on a CUDA device here."""
    return config.device != "cpu" and torch.cuda.is_available()


def should_compile(config: TrainConfig, device: torch.device, run_flops: float) -> bool:
    """`compile: auto` compiles a run of more operations than COMPILE_ABOVE_FLOPS."""
    if config.compile == "auto":
        return run_flops > COMPILE_ABOVE_FLOPS[device.type]
    return config.compile == "always"


@contextmanager
def deterministic_kernels(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Use only deterministic kernels inside the block, if the recipe says so."""
    if not config.deterministic:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fill_before = memory.fill_uninitialized_memory
    if device.type == "cuda":
        # Read when cuBLAS starts, which is after this.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = fill_before


def _has_bfloat16_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        flags = _CPUINFO.read_text(encoding="utf-8").split()
    except OSError:
        return False
    # Without AMX, AVX-512's bfloat16 instructions gain nothing: 40 GFLOP/s against 65 in float32
    # (products of 1,536 squared on one thread of a Xeon, torch 2.13).
    return "amx_bf16" in flags
