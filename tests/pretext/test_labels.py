import torch

from umzoo.pretext.labels import accuracy, classification_metrics, cross_entropy


def test_items_that_are_not_asked_change_nothing():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, -1, -1])
    assert torch.allclose(cross_entropy(logits, labels), cross_entropy(logits[:2], labels[:2]))
    assert accuracy(logits, labels)[2:].isnan().all()


def test_a_batch_without_questions_has_loss_zero_and_a_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([-1, -1]))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_accuracy_counts_right_answers():
    logits = torch.tensor([[3.0, 0.0], [3.0, 0.0]])
    assert accuracy(logits, torch.tensor([0, 1])).tolist() == [1.0, 0.0]


def test_chance_is_one_over_the_number_of_classes():
    found = classification_metrics(torch.eye(4), torch.tensor([0, 1, -1, 0]))
    assert found["chance"] == 0.25 and found["accuracy"].nanmean() == torch.tensor(2 / 3)
