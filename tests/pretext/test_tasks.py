import pytest
import torch

from umzoo.backbones.base import BackboneInfo, Features, Level
from umzoo.pretext.base import PretextContext
from umzoo.pretext.modality import ModalityAdversarial
from umzoo.pretext.restoration import Restoration
from umzoo.pretext.scale import ScaleClassification

SIZE = (2, 1, 8, 8, 8)


def context(space="zscore", modalities=("ct", "mr"), scales=(0.5, 1.0, 2.0)):
    levels = (Level(4, (1, 1, 1)), Level(6, (2, 2, 2)))
    return PretextContext(BackboneInfo(1, levels, 5, space), (8, 8, 8), scales, modalities)


def make(kind, where=None, **options):
    return kind.build(kind.Config.parse(options), context=where or context())


def features(requires_grad=False):
    pooled = torch.randn(2, 6, requires_grad=requires_grad)
    return Features([torch.randn(2, 4, 8, 8, 8), torch.randn(2, 6, 4, 4, 4)], torch.randn(2, 5, 8, 8, 8), pooled)


def views(clean, corrupted, std=(0.2, 0.5)):
    return {"clean_input": clean, "input": corrupted, "std": torch.tensor(std)}


class TestRestoration:
    def test_identity_is_the_loss_of_the_corrupted_input(self):
        task, clean, corrupted = make(Restoration), torch.randn(SIZE), torch.randn(SIZE)
        task.loss(features(), views(clean, corrupted))
        assert torch.allclose(task.metrics["identity"], (clean - corrupted).square().mean())

    def test_the_mean_of_each_patch_explains_nothing(self):
        """Patches differ in brightness: whoever knows that alone has understood nothing of what is in them."""
        task, given = make(Restoration), features()
        clean = torch.randn(SIZE) + torch.tensor([5.0, -5.0]).view(2, 1, 1, 1, 1)
        means = clean.mean((1, 2, 3, 4), keepdim=True).expand(SIZE)
        task.predict = lambda _: means
        loss = task.loss(given, views(clean, torch.randn(SIZE)))
        assert torch.allclose(task.metrics["mean"], loss)
        assert task.metrics["explained"].abs() < 1e-5 and task.metrics["explained_altered"].abs() < 1e-5

    def test_what_was_not_altered_does_not_hide_what_is_not_restored(self):
        """The corrupted input as the answer: right where nothing was done to it."""
        task, given = make(Restoration), features()
        clean = torch.randn(SIZE)
        corrupted = clean.clone()
        corrupted[..., :2] = torch.randn(*SIZE[:-1], 2)
        task.predict = lambda _: corrupted
        task.loss(given, views(clean, corrupted))
        assert task.metrics["explained"] > 0.3 > -0.3 > task.metrics["explained_altered"]

    def test_nothing_altered_has_no_share(self):
        task, clean = make(Restoration), torch.randn(SIZE)
        task.loss(features(), views(clean, clean))
        assert task.metrics["explained_altered"].isnan()

    @pytest.mark.parametrize("space", ["unit", "zscore"])
    def test_the_target_of_patches_does_not_know_their_gray_level(self, space):
        task, given = make(Restoration, context(space), target="patch"), features()
        clean, corrupted = torch.rand(SIZE), torch.rand(SIZE)
        loss = task.loss(given, views(clean, corrupted))
        assert torch.allclose(loss, task.loss(given, views(3 * clean + 7, corrupted)), atol=1e-4)
        assert task.metrics["mean"] == pytest.approx(1, abs=0.01)

    def test_pictures_of_a_patch_target_have_the_gray_levels_of_the_patch(self):
        task, given = make(Restoration, context("unit"), target="patch"), features()
        clean = 0.4 + 0.1 * torch.rand(SIZE)
        standardized = (clean - clean.mean((1, 2, 3, 4), keepdim=True)) / clean.std((1, 2, 3, 4), keepdim=True)
        task.predict = lambda _: standardized
        fields = {**views(clean, clean), "image": clean, "clean": clean, "mean": torch.zeros(2)}
        fields["clean_input"] = clean
        restored = task.pictures(given, fields)["restored"]
        assert (restored - clean).abs().max() < 0.05

    def test_a_perfect_answer_has_loss_zero_and_a_high_psnr(self):
        task, given = make(Restoration), features()
        clean = task.predict(given).detach()
        assert task.loss(given, views(clean, clean)).item() == 0
        assert (task.metrics["psnr"] > 90).all()

    def test_psnr_does_not_depend_on_the_input_space_of_the_item(self):
        task, given = make(Restoration), features()
        answer = task.predict(given).detach()
        error = torch.full(SIZE, 0.1)
        error_in_z = error / torch.tensor([0.2, 0.5]).view(2, 1, 1, 1, 1)
        task.loss(given, views(answer + error_in_z, answer))
        assert torch.allclose(task.metrics["psnr"], torch.tensor(20.0), atol=1e-3)

    def test_unit_space_answers_stay_in_the_unit_interval(self):
        task = make(Restoration, context("unit"))
        answer = task.predict(Features([], 100 * torch.randn(2, 5, 8, 8, 8), torch.zeros(2, 6)))
        assert answer.min() >= 0
        assert answer.max() <= 1


class TestScale:
    def test_unasked_items_give_no_gradient(self):
        task, given = make(ScaleClassification), features(requires_grad=True)
        task.loss(given, {"scale": torch.tensor([1, -1])}).backward()
        assert given.pooled.grad[0].abs().sum() > 0
        assert given.pooled.grad[1].abs().sum() == 0

    def test_one_scale_is_an_obstacle(self):
        assert "one entry" in ScaleClassification.obstacle(context(scales=(1.0,)))
        assert ScaleClassification.obstacle(context()) is None


class TestModality:
    def batch(self, progress=1.0, step=0, labels=(0, 1)):
        return {"modality": torch.tensor(labels), "progress": torch.tensor(progress), "step": torch.tensor(step)}

    def test_the_encoder_gets_the_reversed_gradient_of_the_classifier(self):
        task, given = make(ModalityAdversarial), features(requires_grad=True)
        task.loss(given, self.batch()).backward()
        reversed_gradient = given.pooled.grad.clone()
        given.pooled.grad = None
        torch.nn.functional.cross_entropy(task.head(given.pooled), torch.tensor([0, 1])).backward()
        strength = task.strength(torch.tensor(1.0))
        assert torch.allclose(reversed_gradient, -strength * given.pooled.grad, atol=1e-6)

    def test_strength_rises_from_zero_to_the_configured_value(self):
        task = make(ModalityAdversarial, strength=0.7)
        values = [task.strength(torch.tensor(p)).item() for p in (0.0, 0.1, 0.5, 1.0)]
        assert values[0] == 0
        assert values == sorted(values)
        assert values[-1] == pytest.approx(0.7, abs=1e-3)

    @pytest.mark.parametrize("mode", ["reversal", "alternating"])
    @pytest.mark.parametrize("step", [0, 1])
    def test_items_of_unknown_modality_take_no_part(self, mode, step):
        task, given = make(ModalityAdversarial, mode=mode), features(requires_grad=True)
        loss = task.loss(given, self.batch(step=step, labels=(-1, -1)))
        loss.backward()
        assert loss.item() == 0
        assert given.pooled.grad is None or given.pooled.grad.abs().sum() == 0

    def test_alternating_trains_one_side_at_a_time(self):
        task, given = make(ModalityAdversarial, mode="alternating"), features(requires_grad=True)
        task.loss(given, self.batch(step=0)).backward()
        assert given.pooled.grad is None
        assert any(p.grad.abs().sum() > 0 for p in task.head.parameters())
        task.zero_grad()
        task.loss(given, self.batch(step=1)).backward()
        assert given.pooled.grad.abs().sum() > 0
        assert all(p.grad is not None and p.grad.abs().sum() == 0 for p in task.head.parameters())

    def test_confusion_is_least_for_a_uniform_answer(self):
        task, given = make(ModalityAdversarial, mode="alternating"), features()
        for parameter in task.head[-1].parameters():
            torch.nn.init.zeros_(parameter)
        assert task.loss(given, self.batch(step=1)).abs().item() < 1e-6

    def test_one_modality_is_an_obstacle(self):
        assert "ct" in ModalityAdversarial.obstacle(context(modalities=("ct",)))
