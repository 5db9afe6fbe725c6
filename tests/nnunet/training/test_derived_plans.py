"""Plans for one training: what is looked at before, what is written, what is refused."""

import json
import shutil

import pytest

from umzoo.errors import ConfigError, DataError, WeightsError
from umzoo.nnunet.planning.plan_names import word_of
from umzoo.nnunet.training.derived_plans import Request, check_continued, continued, derive_plans
from umzoo.nnunet.training.plans_entry import parse_options, read_entry
from umzoo.weights.folder.reader import read_info

PLANS = "nnUNetResEncUNetMPlans"


def request_of(weights, *overrides, base=PLANS, **changes):
    reference = None if weights is None else str(weights)
    values = {"dataset": "901", "configuration": "3d_fullres", "base": base, "reference": reference}
    return Request(**{**values, "options": parse_options("sawtooth", overrides), "recipe": "sawtooth", **changes})


def test_derived_plans_are_nnunets_with_an_entry(nnunet, weights):
    asked = request_of(weights, "rules.minimum=0.9", batch_size=2)
    report = derive_plans(asked)
    plans, base = json.loads(asked.file.read_text()), json.loads((nnunet / f"{PLANS}.json").read_text())
    entry = read_entry(plans)
    assert report.coverage == report.decoder_coverage == 1.0
    assert entry.weights.sha256 == read_info(weights).files["model.safetensors"]
    assert entry.rules.minimum == 0.9
    assert entry.summary.verdict == report.verdict
    assert plans["plans_name"] == asked.plans_name == f"{PLANS}_umzoo_weights_{entry.weights.sha256[:8]}_sawtooth"
    assert plans["configurations"]["3d_fullres"].pop("batch_size") == 2
    base["configurations"]["3d_fullres"].pop("batch_size")
    assert {**plans, "plans_name": PLANS} == {**base, "umzoo": plans["umzoo"]}


def test_dry_run_writes_nothing(nnunet, weights):
    before = sorted(nnunet.iterdir())
    assert derive_plans(request_of(weights), write=False).coverage == 1.0
    assert sorted(nnunet.iterdir()) == before


def test_scratch_arm_differs_by_weights_only(nnunet, weights):
    with_weights, without = request_of(weights), request_of(None)
    derive_plans(with_weights)
    assert derive_plans(without) is None
    ours, theirs = (read_entry(json.loads(it.file.read_text())) for it in (with_weights, without))
    assert theirs.weights is None
    assert ours.model_copy(update={"weights": None, "summary": None}) == theirs


@pytest.mark.usefixtures("nnunet")
def test_plain_unet_is_refused_with_the_command_to_plan_anew(nnunet, weights):
    with pytest.raises(WeightsError, match=f"plain U-Net.*-p {PLANS}"):
        derive_plans(request_of(weights, base="nnUNetPlans", configuration="3d_fullres"), write=False)
    (nnunet / f"{PLANS}.json").unlink()
    with pytest.raises(WeightsError, match="'nnUNetv2_plan_experiment -d 901 -pl nnUNetPlannerResEncM'"):
        derive_plans(request_of(weights, base="nnUNetPlans"), write=False)
    with pytest.raises(ConfigError, match="nnUNetv2_plan_experiment -d 901 -pl nnUNetPlannerResEncM"):
        derive_plans(request_of(weights))


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"configuration": "3d_fulres"}, ConfigError, "did you mean '3d_fullres'"),
        ({"configuration": "2d"}, ConfigError, "is 2D"),
        ({"dataset": "902"}, DataError, "expected one data set '902', found none"),
        ({"dataset": "Dataset902_Nothing"}, DataError, "plan the data set first"),
        ({"base": "other"}, ConfigError, f"no plans 'other' .*{PLANS}"),
        ({"reference": "nowhere"}, WeightsError, "no weights 'nowhere'"),
    ],
)
def test_what_is_missing_is_named(weights, change, error, message):
    with pytest.raises(error, match=message):
        derive_plans(request_of(weights, **change))


def test_data_must_be_preprocessed(nnunet, weights):
    shutil.rmtree(nnunet / "nnUNetPlans_3d_fullres")
    with pytest.raises(DataError, match=f"nnUNetv2_preprocess -d 901 -plans_name {PLANS} -c 3d_fullres"):
        derive_plans(request_of(weights))


@pytest.mark.usefixtures("nnunet")
def test_derived_plans_are_no_base(weights):
    asked = request_of(weights)
    derive_plans(asked)
    with pytest.raises(ConfigError, match=f"already derived plans: give '-p {PLANS}'"):
        derive_plans(request_of(weights, base=asked.plans_name))


@pytest.mark.usefixtures("nnunet")
def test_plans_that_were_trained_with_are_not_replaced(weights, tmp_path):
    asked = request_of(weights)
    derive_plans(asked)
    derive_plans(request_of(weights, "finetuning.epochs=99"))
    fold = tmp_path / "results" / "Dataset901_Spheres" / f"nnUNetTrainerUmzoo__{asked.plans_name}__3d_fullres/fold_0"
    fold.mkdir(parents=True)  # begun, and no checkpoint yet
    derive_plans(request_of(weights, "finetuning.epochs=99"))
    with pytest.raises(ConfigError, match="has other options.*--name"):
        derive_plans(asked, write=False)
    derive_plans(request_of(weights, name="another"))


@pytest.mark.usefixtures("nnunet")
def test_what_is_continued_must_be_asked_for_again_and_needs_no_weights(weights):
    asked = request_of(weights, batch_size=2)
    assert continued(asked) is None
    derive_plans(asked)
    shutil.rmtree(weights)
    again = request_of(weights, batch_size=2)
    assert continued(again).plans_name == asked.plans_name
    check_continued(continued(again))
    name = asked.plans_name
    with pytest.raises(ConfigError, match="made with finetuning"):
        check_continued(request_of(weights, "finetuning.epochs=99", name=name))
    with pytest.raises(ConfigError, match="batch_size 2, not 3"):
        check_continued(request_of(weights, name=name, batch_size=3))
    with pytest.raises(ConfigError, match="other weights"):
        check_continued(request_of(None, name=name))


def test_differences_of_normalization_are_told(nnunet, weights):
    file = nnunet / f"{PLANS}.json"
    plans = json.loads(file.read_text())
    plans["configurations"]["3d_fullres"]["normalization_schemes"] = ["CTNormalization"]
    file.write_text(json.dumps(plans))
    warnings = derive_plans(request_of(weights)).warnings
    assert any("channel 0 (MRI): CTNormalization clips to" in warning for warning in warnings)


@pytest.mark.usefixtures("nnunet")
def test_weights_of_one_name_get_plans_of_their_own(architecture, write_weights, tmp_path):
    """RUN/weights is what every run calls its weights."""
    first, second = (tmp_path / run / "weights" for run in ("run_a", "run_b"))
    ours = request_of(write_weights(first, architecture, seed=1))
    theirs = request_of(write_weights(second, architecture, seed=2))
    derive_plans(ours)
    derive_plans(theirs)
    assert ours.plans_name != theirs.plans_name
    assert continued(request_of(first)).plans_name == ours.plans_name
    write_weights(first, architecture, seed=3)
    assert request_of(first).plans_name not in (ours.plans_name, theirs.plans_name)


def test_no_path_gets_into_plans(nnunet, weights):
    asked = request_of(weights)
    derive_plans(asked)
    text = asked.file.read_text()
    assert str(weights) not in text and str(weights.parent) not in text
    assert read_entry(json.loads(text)).weights.reference == ""


@pytest.mark.parametrize("name", ["a/b", "my__name", "_x", "x_", "..", "a b", "x" * 200, "-x", "ü"])
def test_names_that_nnunet_could_not_use_are_refused(nnunet, weights, name):
    before = sorted(nnunet.iterdir())
    for write in (True, False):
        with pytest.raises(ConfigError, match="plans cannot"):
            derive_plans(request_of(weights, name=name), write=write)
    assert sorted(nnunet.iterdir()) == before


def test_plans_of_nnunets_own_are_not_replaced(nnunet, weights):
    before = (nnunet / "nnUNetPlans.json").read_bytes()
    with pytest.raises(ConfigError, match="plans of nnU-Net and are not replaced: give another --name"):
        derive_plans(request_of(weights, name="nnUNetPlans"))
    assert (nnunet / "nnUNetPlans.json").read_bytes() == before


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("tester/net@feature/x", "tester_net"),
        ("hf-hub:org/name@refs/pr/1", "org_name"),
        ("resenc_unet_l.openmind_mae", "resenc_unet_l.openmind_mae"),
        ("../runs/__odd  name__", "runs_odd_name"),
    ],
)
def test_words_of_references(reference, word):
    assert word_of(reference, "0123456789abcdef") == f"{word}_01234567"


def test_plans_of_before_are_still_read():
    known = {"asked": "/home/jane/w", "reference": "/home/jane/w", "name": "a.b", "sha256": None}
    assert read_entry({"umzoo": {"base": PLANS, "weights": known}}).weights.reference == "/home/jane/w"
