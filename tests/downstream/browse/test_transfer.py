"""Reports of transfers on pages: planned ones, and those that trainings began with."""

import json
import re

import pytest

import umzoo
from umzoo.downstream.browse.folders import page_of
from umzoo.downstream.browse.into import transfer_page
from umzoo.errors import ConfigError, WeightsError
from umzoo.weights.transfer import transfer
from umzoo.weights.transfer.saved_report import REPORT, save_report

SMALL = {"features_per_stage": [4, 8], "n_stages": 2, "n_conv_per_stage": [1, 1]}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w") / "weights"
    umzoo.save_pretrained(umzoo.create_model("plainconv_unet", **SMALL), folder, license="mit", tag="small")
    return folder


def html(page, folder):
    page.write(folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def options(**changes):
    return [f"{name}={json.dumps(value)}" for name, value in {**SMALL, **changes}.items()]


def test_what_a_network_of_the_zoo_would_take(weights, tmp_path):
    text = html(transfer_page(weights, "plainconv_unet", options(in_channels=4)), tmp_path)
    assert "would be refused" not in text and "100.0% of the encoder" in text
    stages = re.findall(r"<summary><span>(.*?)</span>.*?<span>([\d.]+%)</span></summary>", text)
    assert stages == [("encoder stage 0", "100.0%"), ("encoder stage 1", "100.0%"), ("decoder stage 0", "100.0%")]
    assert "<td>adapted</td>" in text and "1 to 4 input channels" in text and 'class="exact" style="width: 100' in text
    more = options(n_stages=3, n_conv_per_stage=[1] * 3, features_per_stage=[4, 8, 64])
    deeper = html(transfer_page(weights, "plainconv_unet", more), tmp_path)
    assert "would be refused" in deeper and "the source has 2 stages" in deeper


def test_into_other_weights_and_what_makes_no_sense(weights, tmp_path):
    text = html(transfer_page(weights, str(weights)), tmp_path)
    assert "100.0% of the encoder" in text and "that were not used" not in text
    other = html(transfer_page(weights, "genesis_unet", ["width=1"]), tmp_path)
    assert "would be refused" in other and "of the weights that were not used" in other
    with pytest.raises(ConfigError, match="takes no options"):
        transfer_page(weights, str(weights), ["in_channels=2"])
    with pytest.raises(WeightsError, match="no weights 'nowhere'"):
        transfer_page(weights, "nowhere")


def test_a_fold_of_nnunet_shows_the_report_that_it_began_with(weights, tmp_path):
    report = transfer(weights, umzoo.create_model("plainconv_unet", **SMALL))
    save_report(report, tmp_path)
    text = html(page_of(tmp_path), tmp_path)
    assert "plainconv_unet.small" in text and text.count('<details class="stage">') == len(report.groups)
    (tmp_path / REPORT).write_text("{}")
    with pytest.raises(WeightsError, match="cannot be read"):
        page_of(tmp_path)


def test_the_command_takes_references_and_options(weights, tmp_path, run):
    run("browse", weights, *options(), "--into", "plainconv_unet", "--out", tmp_path / "into.html")
    assert "plainconv_unet.small into plainconv_unet" in (tmp_path / "into.html").read_text()
    with pytest.raises(ConfigError, match="go with --into"):
        run("browse", weights, "in_channels=2")
