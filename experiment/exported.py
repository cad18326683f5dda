"""A network with its record in one .safetensors file, which is read without running code; a damaged one is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiment.command import UserError, first_line
from experiment.files import parse_json, read_bytes, write_bytes
from experiment.score import sealed

FORMAT = 1
KEY = "hare-and-tortoise"  # in the file's metadata, where the record is, as JSON
WEIGHTS = "weights_checksum"
LARGEST = 1 << 34  # bytes of a file


def write_exported(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write `tensors`, of any shapes, types and devices, and the plain values `record` to `path`, atomically. UserError."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    whole = sealed({"format": FORMAT, **record, WEIGHTS: _checksum(tensors)})
    write_bytes(path, _library().save(tensors, {KEY: json.dumps(whole)}))


def read_exported(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the record that `write_exported` put into `path`.

    UserError, naming it, if it is no such file, another project's, of another format, or damaged.
    """
    content = read_bytes(path, LARGEST)
    try:
        tensors = _library().load(content)
    except Exception as error:  # the library's own kind, or whatever a made-up header comes to
        raise UserError(f"{path} is no .safetensors file, or a damaged one ({first_line(error, 'it is empty')})") from error
    header = parse_json(
        content[8 : 8 + int.from_bytes(content[:8], "little")].decode(), str(path)
    )  # as the library has read it
    text = header.get("__metadata__", {}).get(KEY)
    if text is None:
        raise UserError(f"{path} is of another project: its metadata has no {KEY!r}")
    record = parse_json(text, f"{path}: its record")
    if not isinstance(record, dict) or sealed(record) != record or record.get(WEIGHTS) != _checksum(tensors):
        raise UserError(f"{path} is damaged: its checksum is wrong")
    if record["format"] != FORMAT:
        raise UserError(f"{path} has export format {record['format']}; this version reads {FORMAT}")
    return tensors, record


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Of the names, types, shapes and values of contiguous `tensors` on the CPU."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _library() -> Any:
    """safetensors. UserError if it is not there, as in an installation from before it was needed."""
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise UserError(".safetensors files need safetensors: pip install safetensors") from None
    return safetensors.torch
