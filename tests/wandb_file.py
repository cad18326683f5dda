"""What wandb keeps of an offline run: records of its protocol, in blocks of 32 KiB as LevelDB's logs have them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32_768, struct.Struct("<4xHB")  # a checksum of 4 bytes, the size of a part, which part it is
START = 7  # bytes before the first
WHOLE, FIRST, LAST = 1, 2, 4


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Every record of the file `path`."""
    data, at, record = path.read_bytes(), START, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # too little for a header: filled with zeros
            at += BLOCK - at % BLOCK
            continue
        size, part = HEADER.unpack_from(data, at)
        at += HEADER.size
        record = (b"" if part in (WHOLE, FIRST) else record) + data[at : at + size]
        at += size
        if part in (WHOLE, LAST):
            yield wandb_internal_pb2.Record.FromString(record)


def named(items: Any) -> dict[str, Any]:
    """Items of a history or summary: the value of each by its name."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
