"""Maps of a data set in shards: `KEY.map.png` or `KEY.map.npy`, and their target in `KEY.json`.

```
for sample in Maps("maps/maps-*.tar"):
    sample["key"], sample["map"], sample["target"]  # map: (1 h w) float32 in [0, 1]
```
"""

import io
import json
from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.base import Sample
from datamodules.errors import DataError, UnreadableError
from datamodules.samples.image_files import load_image
from datamodules.samples.order import within
from datamodules.shard_files.index import find_shards, index_of, members_of


def png(values: Tensor) -> dict[str, bytes]:
    """Encode a map (1 h w) in [0, 1] as a grey picture of 256 levels."""
    file = io.BytesIO()
    levels = (255 * values[0]).round().byte().numpy()
    # A third of the time of Pillow's level, 1.6 times the size.
    Image.fromarray(levels).save(file, "PNG", compress_level=1)
    return {"map.png": file.getvalue()}


def npy(values: Tensor) -> dict[str, bytes]:
    """Encode a map (1 h w) in [0, 1] as a float16 array (h w) of numpy's: 11 bits, three digits."""
    file = io.BytesIO()
    np.save(file, values[0].half().numpy())
    return {"map.npy": file.getvalue()}


PRECISIONS: dict[str, Callable[[Tensor], dict[str, bytes]]] = {"uint8": png, "float16": npy}
"""Encoders of a map, by the name of their precision."""


class Maps(Dataset[Sample]):
    """The maps of shards, one after the other.

    A sample has `key`, `map` (1 h w) float32 in [0, 1], and what the map's json holds: `target`,
    `probability`, `caption` and `source`.

    Args:
        patterns: of the shards, as `find_shards` takes them.

    Raises:
        MissingShardError: a shard is missing, or a glob finds none.
        DataError: a shard is not a whole tar file.
    """

    def __init__(self, patterns: str | Sequence[str]) -> None:
        self.paths = [shard.path for shard in find_shards(patterns)]
        self._ends = list(accumulate(len(index_of(path)) for path in self.paths))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard, position = within(self._ends, index)
        path = self.paths[shard]
        key, members = index_of(path)[position]
        kinds = sorted({"map.png", "map.npy"} & members.keys())
        if not kinds or "json" not in members:
            raise DataError(
                f"{path}: sample {key!r} is no map with its json, only {', '.join(members)}"
            )
        try:
            content = members_of(path, position, [kinds[0], "json"])
            values = _read(kinds[0], content[kinds[0]])
            described: Sample = json.loads(content["json"])
        except DataError:
            raise
        except (ValueError, OSError) as error:
            raise UnreadableError(str(path), key, f"cannot be read ({error})") from error
        return {"key": key, "map": values[None]} | described


def _read(kind: str, content: bytes) -> Tensor:
    if kind == "map.npy":
        return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False)).float()
    return torch.from_numpy(np.array(load_image(io.BytesIO(content), "L"))).float() / 255
