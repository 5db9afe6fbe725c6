"""A recipe is checked from phantoms to the transferred weights."""

from umzoo.testing import check_training, small_network
from umzoo.weights.folder.reader import read_info


def test_training_is_checked_to_the_transferred_weights(tmp_path):
    recipe = {
        "backbone": small_network("genesis_unet"),
        "pretext": {"tasks": [{"name": "restoration"}, {"name": "modality_adversarial"}]},
    }
    assert len(check_training(recipe, tmp_path, steps=3)) == 3
    citations = read_info(tmp_path / "weights").citations
    assert any("Models Genesis" in work for work in citations) and len(set(citations)) == len(citations)
    assert not any("SAR" in work for work in citations)
