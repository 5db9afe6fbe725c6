"""The importer of Models Genesis, proven on a checkpoint of exactly the published keys and shapes."""

import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

BLOCKS = {
    "down_tr64.ops.0": (32, 1), "down_tr64.ops.1": (64, 32),
    "down_tr128.ops.0": (64, 64), "down_tr128.ops.1": (128, 64),
    "down_tr256.ops.0": (128, 128), "down_tr256.ops.1": (256, 128),
    "down_tr512.ops.0": (256, 256), "down_tr512.ops.1": (512, 256),
    "up_tr256.ops.0": (256, 768), "up_tr256.ops.1": (256, 256),
    "up_tr128.ops.0": (128, 384), "up_tr128.ops.1": (128, 128),
    "up_tr64.ops.0": (64, 192), "up_tr64.ops.1": (64, 64),
}  # fmt: skip
UPSAMPLING = {"up_tr256": 512, "up_tr128": 256, "up_tr64": 128}


def released(prefix="module."):
    """A state dict as published: 106 entries, 19,078,351 values."""
    state = {}
    for block, (out_channels, in_channels) in BLOCKS.items():
        state[f"{block}.conv1.weight"] = torch.full((out_channels, in_channels, 3, 3, 3), 0.01)
        state[f"{block}.conv1.bias"] = torch.zeros(out_channels)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{block}.bn1.{part}"] = torch.ones(out_channels)
        state[f"{block}.bn1.num_batches_tracked"] = torch.tensor(0)
    for block, channels in UPSAMPLING.items():
        state[f"{block}.up_conv.weight"] = torch.full((channels, channels, 2, 2, 2), 0.01)
        state[f"{block}.up_conv.bias"] = torch.zeros(channels)
    state["out_tr.final_conv.weight"] = torch.ones(1, 64, 1, 1, 1)
    state["out_tr.final_conv.bias"] = torch.ones(1)
    for number, value in enumerate(state.values()):
        if value.is_floating_point():
            value.view(-1)[:8] = Rng(number).normal((min(8, value.numel()),))
    return {prefix + name: value for name, value in state.items()}


def run(tmp_path, content):
    torch.save(content, tmp_path / "Genesis_Chest_CT.pt")
    zoo().importers.build("models_genesis").run(tmp_path / "Genesis_Chest_CT.pt", tmp_path / "out")
    return tmp_path / "out"


def test_all_106_entries_arrive(tmp_path):
    state = released()
    assert len(state) == 106
    assert sum(value.numel() for value in state.values()) == 19_078_351
    out = run(tmp_path, {"epoch": 3, "state_dict": state, "optimizer_state_dict": {}})
    found = load_state(out)
    assert len(found) == 104
    for name, value in found.items():
        part, _, rest = name.partition(".")
        assert part == ("encoder" if rest.startswith("down") else "decoder")
        assert torch.equal(value, state[f"module.{rest}"])
    head = load_state(out, "pretext.safetensors")
    assert torch.equal(head["restoration.head.weight"], state["module.out_tr.final_conv.weight"])
    assert torch.equal(head["restoration.head.bias"], state["module.out_tr.final_conv.bias"])


def test_the_folder_says_what_the_network_expects(tmp_path):
    out = run(tmp_path, {"state_dict": released(prefix="")})
    info = read_info(out)
    assert info.name == "genesis_unet.chest_ct"
    assert (info.input.space, info.input.axes, info.input.patch_size) == ("unit", "xyz", (64, 64, 32))
    assert info.input.rule("ct").window == (-1000, 1000)
    assert load_backbone(out).info.decoder_channels == 64


def test_the_head_fits_the_restoration_task(tmp_path):
    from umzoo.pretext.base import PretextContext

    out = run(tmp_path, {"state_dict": released()})
    context = PretextContext(load_backbone(out).info, (64, 64, 32))
    task = zoo().pretext_tasks.build("restoration", context=context)
    state = load_state(out, "pretext.safetensors")
    task.load_state_dict({name.removeprefix("restoration."): value for name, value in state.items()})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda state: state.pop("module.up_tr64.up_conv.bias"), "1 missing: up_tr64.up_conv.bias"),
        (
            lambda state: state.update({"module.up_tr64.up_conv.bias": torch.zeros(3)}),
            r"expected \(128,\), got \(3,\)",
        ),
        (lambda state: state.update({"up_tr64.up_conv.bias": torch.zeros(128)}), "up_tr64.up_conv.bias twice"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, complaint):
    state = released()
    change(state)
    with pytest.raises(WeightsError, match=complaint):
        run(tmp_path, {"state_dict": state})
    assert not (tmp_path / "out").exists()


def test_fine_tuned_networks_keep_their_heads_apart(tmp_path):
    state = {name.replace("module.", "module.base_model."): value for name, value in released().items()}
    state["module.base_model.out_tr.final_conv.weight"] = torch.ones(3, 64, 1, 1, 1)
    state["module.dense_1.bias"] = torch.ones(7)
    out = run(tmp_path, state)
    info = read_info(out)
    assert info.name == "genesis_unet.fine_tuned"
    assert info.provenance.volumes == 0
    assert info.models_genesis["also_holds"] == {"out_tr.final_conv": 2, "dense_1.bias": 1}
    assert len(load_state(out)) == 104
    assert load_state(out, "pretext.safetensors")["models_genesis.dense_1.bias"].shape == (7,)


def test_unreadable_files_are_refused(tmp_path):
    (tmp_path / "no.pt").write_bytes(b"no checkpoint")
    for source in ("no.pt", "missing.pt"):
        with pytest.raises(WeightsError, match="cannot be read"):
            zoo().importers.build("models_genesis").run(tmp_path / source, tmp_path / "out")
    with pytest.raises(WeightsError, match="contains no tensors"):
        run(tmp_path, [1, 2])


class Payload:
    def __reduce__(self):
        return print, ("run",)


def test_pickled_code_is_not_run(tmp_path, capsys):
    out = run(tmp_path, {"state_dict": released(), "extra": Payload()})
    assert "run" not in capsys.readouterr().out
    assert read_info(out).name == "genesis_unet.chest_ct"


@pytest.mark.parametrize(("fresh", "options", "expected"), [(0, {}, 0), (1, {}, 1), (0, {"batch_statistics": True}, 1)])
def test_answers_depend_on_the_batch_only_where_they_must(tmp_path, caplog, fresh, options, expected):
    state = released()
    for name, value in state.items():
        if fresh and "running_" in name:
            value.fill_(float(name.endswith("var")))
    torch.save({"state_dict": state}, tmp_path / "Genesis_Chest_CT.pt")
    importer = zoo().importers.build({"name": "models_genesis", **options})
    importer.run(tmp_path / "Genesis_Chest_CT.pt", tmp_path / "out")
    assert load_backbone(tmp_path / "out").config.batch_statistics == bool(expected)
    assert caplog.text.count("outputs depend on the rest of the batch") == expected


def test_more_channels(tmp_path):
    state = released("model.")
    first = "model.down_tr64.ops.0.conv1.weight"
    state[first] = state[first].repeat(1, 4, 1, 1, 1)
    out = run(tmp_path, {"state_dict": state})
    assert read_info(out).input.in_channels == load_backbone(out).info.in_channels == 4
    assert torch.equal(load_state(out)["encoder.down_tr64.ops.0.conv1.weight"], state[first])
