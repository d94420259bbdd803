"""Losses against their formulas, written out naively."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.losses import full_cross_entropy, sampled_softmax


@pytest.fixture
def tensors(rng):
    """Seven states of width 4, eleven items, the item that followed each state."""
    states_PD = torch.tensor(rng.normal(size=(7, 4)), dtype=torch.float32, requires_grad=True)
    items_ND = torch.tensor(rng.normal(size=(11, 4)), dtype=torch.float32, requires_grad=True)
    return states_PD, items_ND, torch.tensor(rng.integers(0, 11, size=7))


@pytest.mark.parametrize("logits_at_once", [33, 1 << 19])
def test_full_cross_entropy_and_its_gradients_are_those_of_torch(tensors, logits_at_once, monkeypatch):
    monkeypatch.setattr("models.losses._LOGITS_AT_ONCE", logits_at_once)
    states_PD, items_ND, targets_P = tensors
    expected = 3 * functional.cross_entropy(states_PD @ items_ND.T, targets_P)
    expected_gradients = torch.autograd.grad(expected, [states_PD, items_ND])
    loss = 3 * full_cross_entropy(states_PD, items_ND, targets_P)
    torch.testing.assert_close(loss, expected)
    for gradient, wanted in zip(
        torch.autograd.grad(loss, [states_PD, items_ND]), expected_gradients, strict=True
    ):
        torch.testing.assert_close(gradient, wanted)


def test_a_position_of_weight_two_counts_as_two(tensors):
    states_PD, items_ND, targets_P = tensors
    twice = torch.tensor([0, 0, 1, 2, 3, 3, 4, 5, 6])
    weights_P = torch.tensor([2.0, 1, 1, 2, 1, 1, 1]) * 7 / 9
    negatives_M, log_q_N = torch.tensor([3, 8, 3]), torch.full((11,), -np.log(11)).float()
    for loss, *more in ((full_cross_entropy,), (sampled_softmax, negatives_M, log_q_N)):
        expected = loss(states_PD[twice], items_ND, targets_P[twice], *more)
        weighted = loss(states_PD, items_ND, targets_P, *more, weights_P)
        torch.testing.assert_close(weighted, expected)
        for gradient, wanted in zip(
            torch.autograd.grad(weighted, [states_PD, items_ND]),
            torch.autograd.grad(expected, [states_PD, items_ND]),
            strict=True,
        ):
            torch.testing.assert_close(gradient, wanted)


def test_full_cross_entropy_stays_finite_when_a_target_is_hopeless():
    states_PD = torch.tensor([[500.0]], requires_grad=True)
    loss = full_cross_entropy(states_PD, torch.tensor([[1.0], [-1.0]]), torch.tensor([1]))
    loss.backward()
    assert loss.isfinite()
    assert states_PD.grad.item() == pytest.approx(2.0)  # probability 1 for +1, -1 for the target at -1


def test_full_cross_entropy_needs_no_gradient(tensors):
    with torch.no_grad():
        states_PD, items_ND, targets_P = tensors
        expected = functional.cross_entropy(states_PD @ items_ND.T, targets_P)
        torch.testing.assert_close(full_cross_entropy(states_PD, items_ND, targets_P), expected)


def test_sampled_softmax_is_its_formula(tensors, rng):
    states_PD, items_ND, targets_P = tensors
    q_N = rng.dirichlet(np.ones(11))
    negatives = [3, 8, 3, int(targets_P[0])]
    total = 0.0
    scores_PN = (states_PD @ items_ND.T).detach().numpy().astype(np.float64)
    for scores_N, target in zip(scores_PN, targets_P.tolist(), strict=True):
        others = sum(np.exp(scores_N[m]) / (4 * q_N[m]) for m in negatives if m != target)
        total -= scores_N[target] - np.log(np.exp(scores_N[target]) + others)
    loss = sampled_softmax(
        states_PD, items_ND, targets_P, torch.tensor(negatives), torch.tensor(np.log(q_N)).float()
    )
    assert loss.item() == pytest.approx(total / 7, rel=1e-5)


def test_sampled_softmax_is_nothing_to_learn_from_when_every_negative_is_the_target(tensors):
    states_PD, items_ND, _ = tensors
    loss = sampled_softmax(
        states_PD, items_ND, torch.full((7,), 2), torch.tensor([2, 2]), torch.full((11,), -np.log(11.0))
    )
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(states_PD.grad).all()


def test_sampled_softmax_estimates_the_full_one_whatever_the_proposal(tensors, rng):
    states_PD, items_ND, targets_P = (tensor.detach() for tensor in tensors)
    q_N = rng.dirichlet(np.full(11, 3.0))
    negatives_M = torch.tensor(rng.choice(11, size=200_000, p=q_N))
    loss = sampled_softmax(states_PD, items_ND, targets_P, negatives_M, torch.tensor(np.log(q_N)).float())
    assert loss.item() == pytest.approx(full_cross_entropy(states_PD, items_ND, targets_P).item(), rel=0.01)
