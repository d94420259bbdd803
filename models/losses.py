"""Losses over items, each with its formula and its paper.

P positions (every place of every sequence that has a next item) · D width · N items · M negatives

Where a caller has products of matrices taken in bfloat16 (torch.autocast), what follows them is calculated in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Logits are made, used and dropped this many at a time, so that they never leave the processor's cache.
_LOGITS_AT_ONCE = 1 << 19
_TINY = torch.finfo(torch.float32).tiny


def full_cross_entropy(
    states_PD: Tensor, items_ND: Tensor, targets_P: Tensor, weights_P: Tensor | None = None
) -> Tensor:
    """Cross-entropy over the whole catalogue, the mean over positions.

    L = -1/P Σ_p w_p [ s_p·e_t(p) - log Σ_n exp(s_p·e_n) ]

    Without weights every w is 1.

    It is the loss that BERT4Rec (Sun et al., CIKM 2019) trains with; that it also lifts SASRec above it was
    shown by Klenitskiy and Vasilev (RecSys 2023). Costs one product of P × D × N, and twice that backwards.
    """
    loss: Tensor = _FullCrossEntropy.apply(states_PD, items_ND, targets_P, weights_P)  # type: ignore[no-untyped-call]
    return loss


class _FullCrossEntropy(torch.autograd.Function):
    """Chunks of positions, their gradients taken at once while the chunk's probabilities are at hand."""

    @staticmethod
    def forward(
        ctx: Any, states_PD: Tensor, items_ND: Tensor, targets_P: Tensor, weights_P: Tensor | None
    ) -> Tensor:
        num_positions, num_items = len(states_PD), len(items_ND)
        wants_gradient = any(ctx.needs_input_grad)
        grad_states_PD = torch.empty_like(states_PD) if wants_gradient else None
        grad_items_ND = torch.zeros_like(items_ND) if wants_gradient else None
        losses = []
        for start in range(0, num_positions, max(1, _LOGITS_AT_ONCE // num_items)):
            chunk = slice(start, start + max(1, _LOGITS_AT_ONCE // num_items))
            probabilities_PN = torch.softmax((states_PD[chunk] @ items_ND.T).float(), dim=1)
            targets_P1 = targets_P[chunk].unsqueeze(1)
            # A probability below the smallest float counts as that: the loss is capped, its gradient is not.
            losses_P1 = -probabilities_PN.gather(1, targets_P1).clamp_(min=_TINY).log_()
            weights_P1 = None if weights_P is None else weights_P[chunk].unsqueeze(1)
            losses.append((losses_P1 if weights_P1 is None else losses_P1 * weights_P1).sum())
            if grad_states_PD is not None and grad_items_ND is not None:
                # d loss / d logit = probability - 1 at the target
                probabilities_PN.scatter_add_(
                    1, targets_P1, -torch.ones_like(targets_P1, dtype=states_PD.dtype)
                )
                if weights_P1 is not None:
                    probabilities_PN *= weights_P1
                torch.mm(probabilities_PN, items_ND, out=grad_states_PD[chunk])
                grad_items_ND.addmm_(probabilities_PN.T, states_PD[chunk])
        if wants_gradient:
            ctx.save_for_backward(grad_states_PD, grad_items_ND)
        ctx.num_positions = num_positions
        return torch.stack(losses).sum() / num_positions

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_states_PD, grad_items_ND = ctx.saved_tensors
        scale = grad_outputs[0] / ctx.num_positions
        return grad_states_PD * scale, grad_items_ND * scale, None, None


def sampled_softmax(
    states_PD: Tensor,
    items_ND: Tensor,
    targets_P: Tensor,
    negatives_M: Tensor,
    log_q_N: Tensor,
    weights_P: Tensor | None = None,
) -> Tensor:
    """Cross-entropy against M negatives that all positions share, the mean over positions.

    L = -1/P Σ_p w_p [ s_p·e_t(p) - log( exp(s_p·e_t(p)) + Σ_m exp(s_p·e_m - log(M q_m)) ) ]

    where item m was drawn with probability q_m, M times, with replacement; a negative that is the target
    does not count; without weights every w is 1. Dividing by the expected count M q_m makes the sum an unbiased estimate of the full
    softmax's (Bengio and Senécal, 2008), and the target, which is always there, needs no correction
    (Khrylchenko et al., RecSys 2025). Sharing makes the negatives one product for the whole batch.
    """
    own_P = (states_PD * items_ND[targets_P]).sum(dim=1)
    log_counts_M = log_q_N[negatives_M] + torch.log(torch.tensor(float(len(negatives_M))))
    others_PM = torch.addmm(-log_counts_M, states_PD, items_ND[negatives_M].T).float()
    others_PM = others_PM.masked_fill(negatives_M == targets_P.unsqueeze(1), -torch.inf)
    losses_P = torch.logaddexp(own_P, torch.logsumexp(others_PM, dim=1)) - own_P
    return (losses_P if weights_P is None else losses_P * weights_P).mean()


def generalised_bce(
    states_PD: Tensor,
    items_ND: Tensor,
    targets_P: Tensor,
    negatives_M: Tensor,
    log_q_N: Tensor,
    calibration: float,
    weights_P: Tensor | None = None,
) -> Tensor:
    """gBCE: binary cross-entropy that does not grow too sure of itself, the mean over positions.

    L = -1/P Σ_p w_p/(M + 1) [ β log σ(s_p·e_t(p)) + Σ_m log(1 - σ(s_p·e_m)) / (N q_m) ]

    with β = α (t (1 - 1/α) + 1/α) = 1 - t (1 - α), t the calibration and α = M/N the share of the items that are
    negatives (Petrov and Macdonald, RecSys 2023). Trained on a few of all negatives, a model takes every item for
    likelier than it is: at its best σ(s·e) is β P / (β P + α (1 - P)), where P is the item's probability. At t = 0
    that is plain binary cross-entropy, at t = 1 it is P itself; the authors recommend .75.

    The paper draws negatives alike from all items. Here item m was drawn with probability q_m, M times, with
    replacement, for all positions together, as in :func:`sampled_softmax`, and counts 1/(N q_m) times, so that each
    item weighs M/N, however often it is drawn; a negative that is the target does not count.

    Raises:
        ValueError: the calibration lies outside [0, 1].
    """
    if not 0 <= calibration <= 1:
        raise ValueError(f"calibration is {calibration}; it has to lie in [0, 1], 0 is plain BCE")
    num_items, num_negatives = len(items_ND), len(negatives_M)
    beta = 1 - calibration * (1 - num_negatives / num_items)
    own_P = (states_PD * items_ND[targets_P]).sum(dim=1)
    others_PM = (states_PD @ items_ND[negatives_M].T).float()
    is_other_PM = negatives_M != targets_P.unsqueeze(1)
    counts_PM = torch.exp(-log_q_N[negatives_M]) / num_items * is_other_PM
    # -log σ(x) is softplus(-x), -log(1 - σ(x)) is softplus(x): neither overflows.
    losses_P = beta * functional.softplus(-own_P) + (counts_PM * functional.softplus(others_PM)).sum(dim=1)
    return (losses_P if weights_P is None else losses_P * weights_P).mean() / (num_negatives + 1)
