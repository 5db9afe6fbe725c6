"""How a model card says that the weights are used."""

from __future__ import annotations

from collections.abc import Callable

from umzoo.weights.folder.info import WeightsInfo

FEATURES = """\
```python
import umzoo

backbone = umzoo.from_pretrained("{ref}")  # features: backbone(image, dense=True)
model = umzoo.from_pretrained("{ref}", head={{"name": "segmentation", "classes": 3}}, in_channels={channels})
```

Without installing umzoo, from a checkout of it:

```python
import torch

backbone = torch.hub.load("CHECKOUT", "from_pretrained", "{ref}", source="local")
```

In nnU-Net v2, with plans that fit the weights:

```
umzoo nnunet train DATASET 3d_fullres 0 --weights {ref}
```

Into a network of your own. The report lists every tensor as copied, adapted or left at random values:

```python
print(umzoo.transfer("{ref}", network))
```

{which}The names in `model.safetensors` are the parameters of `{architecture}`."""

ANSWERS = """\
```
umzoo predict {ref} scan.nii.gz --out FOLDER
```

```python
import umzoo

model = umzoo.from_pretrained("{ref}")
answer = model(image)  # {gives}; the image as described under Input
```

`umzoo.from_pretrained("{ref}", head=False)` is the backbone `{architecture}` alone, whose parameters are those in
`model.safetensors`; what fine-tunes, pre-trains or transfers these weights takes it and leaves the head. {which}"""

SIGNED = """\
`model.sig` signs `config.json` and all files that it lists; this card is not signed. With the public key of whoever you
expect to have published these weights, which you have from elsewhere than this page (or `--root` certificates):

```
umzoo verify {ref} --public-key KEY.pub
```"""

GIVES = {
    "segmentation": "logits (B, classes, D, H, W), for a softmax",
    "classification": "logits (B, classes), for a softmax",
    "multilabel": "logits (B, classes), for a sigmoid each",
    "regression": "numbers (B, targets)",
    "survival": "log-risk (B, 1)",
}


def usage(info: WeightsInfo, ref: str, plain: Callable[[str], str]) -> str:
    """Return the section of the card of *info* whose examples call the weights *ref*; *plain* cleans a text."""
    which = "`FOLDER` is this folder, or the `org/name` of this repository on the Hub. " if ref == "FOLDER" else ""
    fields = {"ref": ref, "which": which, "architecture": plain(info.backbone.name)}
    if info.head is None:
        return FEATURES.format(**fields, channels=info.input.in_channels)
    return ANSWERS.format(**fields, gives=GIVES.get(info.task, "the answer of the head")).strip()
