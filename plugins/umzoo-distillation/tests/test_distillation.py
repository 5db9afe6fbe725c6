"""Teachers follow, hidden cells are where they should be, and a constant answer is no better than the baseline."""

import math

import pytest
import torch
from umzoo_distillation.dino import DINO
from umzoo_distillation.distillation import Distillation, centered, resized
from umzoo_distillation.jepa import JEPA, distance, hidden_mean
from umzoo_distillation.teacher import Teacher, draw_boxes_of_cells, hide, momentum_at

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ConfigError
from umzoo.pretext.model import PretextModel
from umzoo.spec import InputSpec
from umzoo.testing import TinyBackbone, check_pretext_task, check_training, small_network, training_batch

SIZE = (16, 16, 16)


def model_of(kind, size=SIZE, **options):
    torch.manual_seed(0)
    task = kind.build(kind.Config.parse(options), context=umzoo.PretextContext(TinyBackbone.info, size))
    return PretextModel(TinyBackbone(), {"task": task}, {"task": 1.0}, Pipeline([]))


def batch(items=4, size=SIZE):
    return {**training_batch(items=items), "image": umzoo.Rng(5).uniform((items, 1, *size))}


@pytest.fixture
def teacher(tmp_path):
    torch.manual_seed(1)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, tmp_path / "teacher", input=InputSpec(patch_size=SIZE))
    return str(tmp_path / "teacher")


@pytest.mark.parametrize("name", ["dino", "jepa"])
def test_conforms(name):
    check_pretext_task(name)


def test_distillation_conforms(teacher):
    check_pretext_task("distillation", teacher=teacher)


class TestTeacher:
    def test_it_follows_by_its_momentum(self):
        student = torch.nn.BatchNorm1d(2)
        slow = Teacher(student)
        with torch.no_grad():
            student.weight.fill_(3.0)
            student.running_mean.fill_(7.0)
        slow.follow(student, 0.75)
        assert torch.equal(slow.network.weight, torch.full((2,), 1.5))
        assert torch.equal(slow.network.running_mean, student.running_mean)
        assert not any(value.requires_grad for value in slow.parameters())

    def test_momentum_rises_to_one(self):
        values = [momentum_at(k / 10, 0.9) for k in range(11)]
        assert values == sorted(values) and values[0] == pytest.approx(0.9) and values[-1] == pytest.approx(1)

    @pytest.mark.parametrize("grid", [(2, 1, 1), (1, 2, 3), (4, 4, 4)])
    @pytest.mark.parametrize("shares", [(0.1, 0.2), (0.5, 1.0), (1.0, 1.0)])
    def test_some_cells_are_hidden_and_some_are_not(self, grid, shares):
        hidden = draw_boxes_of_cells(50, grid, 4, shares, umzoo.Rng(0)).flatten(1)
        assert hidden.any(1).all() and not hidden.all(1).any()

    def test_boxes_have_the_edges_that_were_asked_for(self):
        hidden = draw_boxes_of_cells(200, (4, 6, 8), 1, (0.5, 0.5), umzoo.Rng(0))
        assert torch.equal(hidden.flatten(1).sum(1), torch.full((200,), 2 * 3 * 4))
        assert hidden.any(0).all(), "a box may lie anywhere"

    def test_hidden_voxels_have_the_value_and_others_stay(self):
        image, hidden = umzoo.Rng(0).uniform((2, 1, 4, 4, 4)), torch.zeros(2, 2, 2, 2, dtype=torch.bool)
        hidden[1, 0, 1, 1] = True
        seen = hide(image, hidden, torch.tensor([5.0, 7.0]))
        changed = seen != image
        assert changed.sum() == 8 and changed[1, 0, :2, 2:, 2:].all() and (seen[changed] == 7).all()


class TestDINO:
    def test_the_teacher_is_exported_and_follows(self):
        model = model_of(DINO, prototypes=8, width=8, dim=4)
        exported = model.tasks["task"].exported(model.backbone)
        assert exported is not model.backbone
        with torch.no_grad():
            for value in model.backbone.parameters():
                value.add_(1.0)
        before = [value.clone() for value in exported.parameters()]
        model.after_step()
        moved = [(after - was) for after, was in zip(exported.parameters(), before, strict=True)]
        assert all(torch.allclose(step, torch.full_like(step, 0.01), atol=1e-4) for step in moved)

    def test_an_answer_that_is_the_same_for_all_has_the_loss_of_the_baseline_at_best(self):
        model = model_of(DINO, prototypes=8, width=8, dim=4, cells=0.0)
        task = model.tasks["task"]
        task.heads[0].forward = lambda rows: torch.zeros(len(rows), 8)
        output = model(batch(), umzoo.Rng(0))
        assert output.loss == pytest.approx(math.log(8), abs=1e-4)
        assert output.parts["task.baseline"] <= output.loss + 1e-4

    def test_the_loss_of_crops_is_logged_without_that_of_cells(self):
        model = model_of(DINO, prototypes=8, width=8, dim=4, cells=2.0)
        task = model.tasks["task"]
        task.heads[0].forward = task.heads[1].forward = lambda rows: torch.zeros(len(rows), 8)
        output = model(batch(), umzoo.Rng(0))
        assert output.parts["task.crop_loss"] == pytest.approx(math.log(8), abs=1e-4)
        assert output.loss == pytest.approx(3 * math.log(8), abs=1e-3)

    def test_small_crops_are_smaller_and_large_ones_have_hidden_cells(self):
        task = model_of(DINO, crops=3).tasks["task"]
        views = task.views(batch(2), umzoo.Rng(0))
        assert views["image"].shape == (4, 1, *SIZE) and views["small"].shape == (6, 1, 8, 8, 8)
        assert views["hidden"].shape == (4, *task.grid)

    def test_the_center_moves_in_training_only(self):
        model = model_of(DINO, prototypes=8, width=8, dim=4)
        model.eval()
        model(batch(), umzoo.Rng(0))
        assert not model.tasks["task"].centers.any()
        model.train()
        model(batch(), umzoo.Rng(0))
        assert model.tasks["task"].centers.any(1).all()

    def test_refuses_edges_from_great_to_small(self):
        with pytest.raises(ConfigError, match=r"dino\.small must be a minimum and a maximum"):
            model_of(DINO, small=(0.9, 0.5))


class TestJEPA:
    def test_only_hidden_cells_count(self):
        hidden = torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)
        hidden[0, 0, 0, 0, 0] = True
        target, answer = torch.zeros(1, 3, 2, 2, 2), torch.zeros(1, 3, 2, 2, 2)
        answer[..., 1] = 100
        assert distance(answer, target, hidden) == 0
        answer[0, :, 0, 0, 0] = 2
        assert distance(answer, target, hidden) == 1.5

    def test_no_constant_beats_the_mean_by_squares(self):
        target, hidden = umzoo.Rng(0).normal((4, 3, 2, 2, 2)) * 0.3, torch.ones(4, 1, 2, 2, 2, dtype=torch.bool)
        best = distance(hidden_mean(target, hidden), target, hidden)
        assert all(distance(hidden_mean(target, hidden) + d, target, hidden) > best for d in (-0.3, 0.3))

    def test_a_patch_of_one_cell_is_refused(self):
        stride = TinyBackbone.info.levels[-1].stride
        with pytest.raises(ConfigError, match="make the patch larger"):
            model_of(JEPA, size=stride)


class TestDistillation:
    def test_a_constant_answer_has_no_cosine(self):
        target = centered(umzoo.Rng(0).normal((2, 3, 4, 4, 4)) + 5)
        answer = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1, 1).expand_as(target)
        unit = torch.nn.functional.normalize(target, dim=1)
        assert abs(float((unit * torch.nn.functional.normalize(answer, dim=1)).sum(1).mean())) < 0.2

    def test_maps_of_other_sizes_are_brought_onto_the_students(self):
        level = umzoo.Rng(0).uniform((1, 2, 4, 4, 2))
        halved = resized(level, torch.Size((2, 2, 2)))
        torch.testing.assert_close(halved[0, 0, 0, 0, 0], level[0, 0, :2, :2, 0].mean())
        assert resized(level, torch.Size((8, 4, 4))).shape[2:] == (8, 4, 4)
        assert torch.equal(resized(level, level.shape[2:]), level)

    def test_the_teacher_stays_as_it_is(self, teacher):
        model = model_of(Distillation, teacher=teacher)
        model.train()
        inner = model.tasks["task"].teacher
        assert not inner.training and not any(value.requires_grad for value in inner.parameters())

    def test_sizes_that_the_teacher_does_not_take_are_refused(self, teacher):
        with pytest.raises(ConfigError, match="does not support patches of"):
            model_of(Distillation, size=(15, 16, 16), teacher=teacher)


def learn(kind, metric, steps=60, **options):
    """First and last values of *metric*, and the last of what it has to beat, while four volumes are learned."""
    model, fields = model_of(kind, **options), batch()
    ramp = torch.linspace(0, 0.4, SIZE[2]).expand(4, 1, *SIZE)
    image = (0.15 * torch.arange(4.0).view(4, 1, 1, 1, 1) + ramp + 0.1 * fields["image"]).clamp(0, 1)
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=3e-3)
    values = []
    for step in range(steps):
        output = model({**fields, "image": image, "progress": torch.tensor(step / steps)}, umzoo.Rng(step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        model.after_step()
        values.append({"loss": output.loss.item(), **{k: float(v) for k, v in output.parts.items()}})
    return sum(it[metric] for it in values[:10]) / 10, sum(it[metric] for it in values[-10:]) / 10, values[-1]


def test_dino_learns_and_does_not_collapse():
    first, last, end = learn(DINO, "loss", prototypes=16, width=32, dim=16, corruptions=(), cells=0.0, large=(0.9, 1.0))
    assert last < first and end["task.sharpness"] > 0.1 and end["task.usage"] > 0.1, (first, last, end)


def test_jepa_learns():
    first, last, end = learn(JEPA, "task.explained", width=16)
    assert last > first and last > 0.2 and end["task.spread"] > 0.05, (first, last, end)


def test_distillation_learns(teacher):
    first, last, _ = learn(Distillation, "task.cosine", teacher=teacher)
    assert last > first + 0.1, (first, last)


@pytest.mark.parametrize(("name", "network"), [("dino", "resenc_unet_s"), ("jepa", "primus_s")])
def test_trains_exports_and_transfers(name, network, tmp_path):
    tasks, data = [{"name": name}], {"patch_size": (32, 32, 32)}
    check_training({"backbone": small_network(network), "pretext": {"tasks": tasks}, "data": data}, tmp_path)


def test_weights_that_were_distilled_name_a_local_teacher_without_its_path(teacher, tmp_path):
    tasks = [{"name": "distillation", "teacher": teacher}]
    check_training({"backbone": small_network("plainconv_unet"), "pretext": {"tasks": tasks}}, tmp_path / "run")
    info = umzoo.from_pretrained(tmp_path / "run" / "weights").weights_info
    assert info.pretext["tasks"][0]["teacher"] == "teacher"
    assert str(tmp_path) not in info.model_dump_json()
