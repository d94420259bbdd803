"""Losses against their formulas, written out naively."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.losses import full_cross_entropy, generalised_bce, sampled_softmax


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
    for loss, *more in (
        (full_cross_entropy,),
        (sampled_softmax, negatives_M, log_q_N),
        (generalised_bce, negatives_M, log_q_N, 0.75),
    ):
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


#: Four items whose probabilities σ are 1/2, 3/4, 1/4 and 9/10 for a state of 1.
LOGITS_N1 = torch.tensor([[0.0], [np.log(3)], [-np.log(3)], [np.log(9)]], dtype=torch.float32)


@pytest.mark.parametrize(
    ("calibration", "beta"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)], ids=["plain BCE", "half", "calibrated"]
)
def test_gbce_by_hand_with_two_negatives_of_four_items(calibration, beta):
    loss = generalised_bce(
        torch.ones(1, 1),
        LOGITS_N1,
        torch.tensor([0]),
        torch.tensor([1, 2]),
        torch.full((4,), -np.log(4.0)),
        calibration,
    )
    # log σ(s_0) = -log 2; log(1 - σ(s_1)) = -log 4; log(1 - σ(s_2)) = -log 4/3
    assert loss.item() == pytest.approx((beta * np.log(2) + np.log(4) + np.log(4 / 3)) / 3, rel=1e-6)


def test_in_gbce_a_negative_counts_the_less_the_oftener_it_is_drawn_and_none_is_the_target():
    q_N = np.array([0.5, 0.25, 0.125, 0.125])
    loss = generalised_bce(
        torch.ones(2, 1),
        LOGITS_N1,
        torch.tensor([1, 3]),
        torch.tensor([0, 2, 1]),
        torch.tensor(np.log(q_N)).float(),
        0.0,
    )
    # 1/(N q) is 1/2 for item 0, 1 for item 1, 2 for item 2; the first position's own item is no negative to it
    first = -np.log(3 / 4) + np.log(2) / 2 + 2 * np.log(4 / 3)
    second = -np.log(9 / 10) + np.log(2) / 2 + 2 * np.log(4 / 3) + np.log(4)
    assert loss.item() == pytest.approx((first + second) / 2 / 4, rel=1e-6)


@pytest.mark.parametrize("q_N", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1]], ids=["alike", "by count"])
@pytest.mark.parametrize("calibration", [0.0, 0.5, 1.0])
def test_gbce_is_at_its_best_at_the_true_probabilities_when_calibrated_and_above_them_when_not(
    calibration, q_N
):
    true_N, alpha = torch.tensor([0.7, 0.2, 0.1]), 1 / 3
    beta = {0.0: 1.0, 0.5: 2 / 3, 1.0: 1 / 3}[calibration]
    best_N = beta * true_N / (beta * true_N + alpha * (1 - true_N))
    assert torch.allclose(best_N, true_N) if calibration == 1 else (best_N > true_N + 0.05).all()

    def gradient_at(probabilities_N):
        """Of the expected loss: over what is wanted, and over the one negative that is drawn."""
        logits_N1 = torch.logit(probabilities_N).unsqueeze(1).requires_grad_()
        expected = sum(
            q
            * generalised_bce(
                torch.ones(3, 1),
                logits_N1,
                torch.arange(3),
                torch.tensor([negative]),
                torch.tensor(q_N).log(),
                calibration,
                3 * true_N,
            )
            for negative, q in enumerate(q_N)
        )
        return torch.autograd.grad(expected, logits_N1)[0]

    assert gradient_at(best_N).abs().max() < 1e-6
    assert gradient_at(best_N - 0.04).max() < -1e-3


def test_gbce_stays_finite_when_a_target_is_hopeless():
    states_PD = torch.tensor([[500.0]], requires_grad=True)
    loss = generalised_bce(
        states_PD,
        torch.tensor([[1.0], [-1.0]]),
        torch.tensor([1]),
        torch.tensor([0]),
        torch.full((2,), -np.log(2.0)),
        0.0,
    )
    loss.backward()
    assert loss.item() == pytest.approx(500)
    assert states_PD.grad.item() == pytest.approx(
        1.0
    )  # (1 for the target at -1, 1 for the negative at 1) / 2


@pytest.mark.parametrize("calibration", [-0.1, 1.5])
def test_a_calibration_that_is_none_is_refused(tensors, calibration):
    with pytest.raises(ValueError, match=f"calibration is {calibration}"):
        generalised_bce(*tensors, torch.tensor([1]), torch.full((11,), -np.log(11.0)), calibration)


@pytest.mark.parametrize("name", ["full", "sampled", "gbce"])
def test_with_products_in_bfloat16_a_loss_and_its_gradients_stay_near(tensors, name):
    states_PD, items_ND, targets_P = tensors
    negatives_M, log_q_N = torch.tensor([0, 3, 3, 7]), torch.full((11,), 1 / 11).log()

    def loss():
        if name == "full":
            return full_cross_entropy(states_PD, items_ND, targets_P, torch.full((7,), 2.0))
        if name == "sampled":
            return sampled_softmax(states_PD, items_ND, targets_P, negatives_M, log_q_N)
        return generalised_bce(states_PD, items_ND, targets_P, negatives_M, log_q_N, 0.75)

    exact = loss()
    with torch.autocast("cpu", torch.bfloat16):
        rough = loss()
    assert rough.dtype == torch.float32
    assert rough.item() != exact.item()
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0)
    gradients = [torch.autograd.grad(value, [states_PD, items_ND]) for value in (rough, exact)]
    for gradient, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0.05, atol=0.02)
