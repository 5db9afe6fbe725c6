"""Whatever wraps the target: the same result, in the same parameters, under all of their names."""

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from umzoo.backbones.state import canonical_name, canonical_state, collapse_aliases, expand_aliases, named_tensors
from umzoo.errors import WeightsError
from umzoo.heads.model import Model
from umzoo.plugins import zoo
from umzoo.weights.transfer import transfer


@pytest.fixture(scope="module")
def process_group(tmp_path_factory):
    file = tmp_path_factory.mktemp("gloo") / "rendezvous"
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


WRAPPERS = {
    "none": lambda network: network,
    "DataParallel": nn.DataParallel,
    "compile": torch.compile,
    "DDP": DistributedDataParallel,
    "compiled DDP": lambda network: torch.compile(DistributedDataParallel(network)),
    "DDP of compiled": lambda network: DistributedDataParallel(torch.compile(network)),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrapped_targets_keep_their_parameters(process_group, nnunet, wrap):
    source, target = nnunet(), nnunet()
    parameters = list(target.parameters())
    wrapped = wrap(target)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=1)
    report = transfer(wrap(source), wrapped)
    assert report.coverage == report.decoder_coverage == 1
    assert all(a is b for a, b in zip(parameters, optimizer.param_groups[0]["params"], strict=True))
    ours, theirs = canonical_state(source), canonical_state(target)
    assert all(torch.equal(theirs[name], ours[name]) for name in report.exact)


def test_models_with_heads(resenc):
    backbone = resenc()
    model = Model(backbone, zoo().heads.build("segmentation", info=backbone.info))
    head = model.head.layer.weight.clone()
    source = resenc()
    for target in (model, torch.compile(model), nn.Sequential(model.backbone, nn.Flatten())):
        assert transfer(source, target).coverage == 1
    model.backbone = torch.compile(model.backbone)
    report = transfer(source, model)
    assert report.coverage == 1 and torch.equal(model.head.layer.weight, head)
    assert set(report.fresh) == {"head.layer.weight", "head.layer.bias"}
    assert report.groups[-1].group == "head" and report.groups[-1].fresh == 1
    assert torch.equal(canonical_state(backbone)["encoder.stem.convs.0.conv.weight"], next(source.parameters()))


@pytest.mark.parametrize("kind", ["resenc", "plainconv"])
def test_aliases_go_both_ways(nnunet, kind):
    """nnU-Net names each encoder tensor four times; all names agree after a transfer."""
    source, target = nnunet(kind), nnunet(kind)
    transfer(source, target)
    aliased, canonical = target.state_dict(), canonical_state(target)
    assert len(aliased) > 2 * len(canonical)
    assert {canonical_name(name) for name in aliased} == canonical.keys()
    assert all(torch.equal(value, canonical[canonical_name(name)]) for name, value in aliased.items())
    with torch.device("meta"):
        shape = nnunet(kind)
    expanded = expand_aliases(canonical, shape)
    assert expanded.keys() == aliased.keys()
    nnunet(kind).load_state_dict(expanded, strict=True)
    collapsed = collapse_aliases(expanded)
    assert collapsed.keys() == canonical.keys() and all(collapsed[name] is canonical[name] for name in canonical)
    with pytest.raises(WeightsError, match="1 missing: encoder"):
        expand_aliases({name: value for name, value in list(canonical.items())[1:]}, shape)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_state_dicts_of_checkpoints(nnunet, resenc, prefix):
    source, target = nnunet(), resenc()
    state = {prefix + name: value.clone() for name, value in source.state_dict().items()}
    report = transfer(state, target)
    assert report.coverage == report.decoder_coverage == 1
    ours, theirs = named_tensors(source), named_tensors(target)
    assert all(torch.equal(theirs[name], ours[name]) for name in report.exact)
    assert transfer({**state, "epoch": 3}, nnunet()).coverage == 1
