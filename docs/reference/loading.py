"""The loading instructions on a page of the gallery: umzoo, torch.hub, nnU-Net and plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from umzoo.weights.catalog.entry import WeightsEntry

UMZOO = """\
In Python, alone or with a head:

```python
import umzoo

backbone = umzoo.from_pretrained("{name}")
model = umzoo.from_pretrained("{name}", head={{"name": "classification", "classes": 2}})
```

With `torch.hub`, from a clone of this repository and without installing umzoo:

```python
import torch

backbone = torch.hub.load("CLONE", "from_pretrained", "{name}", source="local")
```
"""

NNUNET = """\
In nnU-Net v2, for data set 4:

```
umzoo nnunet plan 4 --weights {name}
umzoo nnunet train 4 3d_fullres 0 --weights {name}
```
"""

NO_NNUNET = """\
`umzoo nnunet train` does not support this architecture. This command fine-tunes the weights on a folder of scans and
masks, which may have nnU-Net's layout:

```
umzoo finetune task.toml --weights {name} --out TUNED
```
"""

PLAIN = """\
In plain PyTorch, as a state dict. The first two commands write the folder `WEIGHTS`:

```
umzoo bundle {name} weights.tar
umzoo unbundle weights.tar WEIGHTS
```

```python
from safetensors.torch import load_file

state = load_file("WEIGHTS/model.safetensors")
```
"""


def loading(entry: WeightsEntry, takes: Sequence[str]) -> str:
    """Return the four ways to load *entry*; *takes* lists the libraries that can take its tensors."""
    ways = (UMZOO, NNUNET if "nnunet" in takes else NO_NNUNET, PLAIN)
    return "\n".join(way.format(name=entry.name) for way in ways)
