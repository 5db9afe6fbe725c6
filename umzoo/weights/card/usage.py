"""The usage section of a model card."""

from __future__ import annotations

from collections.abc import Callable

from umzoo.weights.folder.info import WeightsInfo

FEATURES = """\
```python
import umzoo

backbone = umzoo.from_pretrained("{ref}")  # features: backbone(image, dense=True)
model = umzoo.from_pretrained("{ref}", head={{"name": "segmentation", "classes": 3}}, in_channels={channels})
```

Without installing umzoo, from a clone of its repository:

```python
import torch

backbone = torch.hub.load("CHECKOUT", "from_pretrained", "{ref}", source="local")
```

Fine-tune in nnU-Net v2, with plans that fit the weights:

```
umzoo nnunet train DATASET 3d_fullres 0 --weights {ref}
```

Transfer into your own network. The report lists each tensor as copied, adapted or left at random values:

```python
print(umzoo.transfer("{ref}", network))
```

{which}The tensor names in `model.safetensors` are the parameter names of `{architecture}`."""

ANSWERS = """\
```
umzoo predict {ref} scan.nii.gz --out FOLDER
```

```python
import umzoo

model = umzoo.from_pretrained("{ref}")
answer = model(image)  # {gives}; see Input for the expected image
```

`umzoo.from_pretrained("{ref}", head=False)` loads only the backbone `{architecture}`, whose parameters are in
`model.safetensors`. Fine-tuning, pre-training and transfer use the backbone without the head. {which}"""

SIGNED = """\
`model.sig` signs `config.json` and all files that it lists; this card is not signed. To verify the signature, get the
publisher's public key (or root certificates, `--root`) from a source other than this page:

```
umzoo verify {ref} --public-key KEY.pub
```"""

GIVES = {
    "segmentation": "logits (B, classes, D, H, W), for a softmax",
    "classification": "logits (B, classes), for a softmax",
    "multilabel": "logits (B, classes), each for a sigmoid",
    "regression": "predicted values (B, targets)",
    "survival": "log-risk (B, 1)",
}


def usage(info: WeightsInfo, ref: str, plain: Callable[[str], str]) -> str:
    """Return the usage section of the card of *info*; examples name the weights *ref*, and *plain* escapes a text."""
    which = "`FOLDER` is this folder, or the `org/name` of this repository on the Hub. " if ref == "FOLDER" else ""
    fields = {"ref": ref, "which": which, "architecture": plain(info.backbone.name)}
    if info.head is None:
        return FEATURES.format(**fields, channels=info.input.in_channels)
    return ANSWERS.format(**fields, gives=GIVES.get(info.task, "the output of the head")).strip()
