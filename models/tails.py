"""What a sequence model would think of a history without one of its last items: leave-one-out, at a fraction of its price.

Who deletes an item that was taken a moment ago changes nothing of what a causal model knew before it. All histories that
lack one of the last items are therefore read in one pass with the whole history: each is a short tail that begins where
its deleted item stood and looks back at what all share (the tree attention of SpecInfer; Miao et al., ASPLOS 2024).

B batch · L length · T last events, newest first (by age) · S places of all tails · X = L + S · Q = 1 + T places asked · D width
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.deletions import deletable, last_events
from models.events import DAY, ITEM
from models.gaps import gap_sizes
from models.recommender import Histories
from models.sasrec import Block, SASRec
from models.sequence_model import pad

_BATCH = 64  # histories at once


@torch.inference_mode()
def encode_without(
    model: SASRec, histories: Histories, num_events: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The state of each history, states_UD, and what it would be without each of its last items, without_UTD.

    ``without_UTD[u, a]`` lacks every event on the item of the event of age a that is among the last ``num_events``: the
    items are those of :func:`deletable`; for what is none of them it is the state itself. What lies before the last
    ``max_length`` events stays unread. Other histories that one comes with change no byte of it.
    """
    was_training = model.training
    model.eval()
    states_UD = np.zeros((len(histories), model.config.width), np.float32)
    without_UTD = np.zeros((len(histories), num_events, model.config.width), np.float32)
    # A product of matrices may add up in another order where it has another shape: every batch has one of a few, which
    # follows from a history's own length.
    lengths_U = np.array([min(len(history), model.config.max_length) for history in histories], np.int64)
    widths_U = np.minimum(
        1 << np.ceil(np.log2(np.maximum(lengths_U, 1))).astype(int), model.config.max_length
    )
    for width in np.unique(widths_U[lengths_U > 0]).tolist():
        alike = np.flatnonzero((widths_U == width) & (lengths_U > 0))
        for start in range(0, len(alike), _BATCH):
            chosen = alike[start : start + _BATCH]
            nothing = histories[chosen[0]][:0]
            batch = [histories[user] for user in chosen] + [nothing] * (_BATCH - len(chosen))
            history_BL, lengths_B = pad(batch, model.config, width)
            asked_BQD = _encode(model, history_BL, lengths_B, num_events)[: len(chosen)]
            states_UD[chosen], without_UTD[chosen] = asked_BQD[:, 0], asked_BQD[:, 1:]
    model.train(was_training)
    return states_UD, without_UTD


def _encode(model: SASRec, history_BL: Tensor, lengths_B: Tensor, num_events: int) -> npt.NDArray[np.float32]:
    """The state of each history and of its deletions by age, asked_BQD."""
    items_BL = history_BL[..., ITEM] if model.reads_events else history_BL
    event_BX, before_BX, positions_BX, is_seen_BXX, places_BQ = map(
        torch.from_numpy, _with_tails(items_BL.numpy(), lengths_B.numpy(), num_events)
    )
    rows_B1, gaps_BX = torch.arange(len(history_BL))[:, None], None
    told_BX = history_BL[rows_B1, event_BX]
    if model.reads_events:
        days_BL = history_BL[..., DAY]
        days_apart_BX = days_BL[rows_B1, event_BX] - days_BL[rows_B1, before_BX.clamp(min=0)]
        gaps_BX = gap_sizes(days_apart_BX) * (before_BX >= 0)
    states_BXD = model.told(told_BX, gaps_BX) + model.positions_LD[positions_BX]
    *earlier, last = model.blocks
    for block in earlier:
        states_BXD = _after(block, states_BXD, states_BXD, is_seen_BXX)
    asked_BQ = places_BQ.clamp(min=0)
    asked_BQD = _after(last, states_BXD, states_BXD[rows_B1, asked_BQ], is_seen_BXX[rows_B1, asked_BQ])
    asked_BQD = model.final_norm(asked_BQD) * (places_BQ >= 0).unsqueeze(2)
    found: npt.NDArray[np.float32] = asked_BQD.numpy()
    return found


def _after(block: nn.Module, states_BXD: Tensor, asked_BQD: Tensor, is_seen_BQX: Tensor) -> Tensor:
    """Some of the states after a block, of which each sees what it may: state_BQD."""
    assert isinstance(block, Block)
    B, X, D = states_BXD.shape
    weight, bias = block.query_key_value.weight, block.query_key_value.bias
    normed_BXD = block.attention_norm(states_BXD)
    normed_BQD = normed_BXD if asked_BQD is states_BXD else block.attention_norm(asked_BQD)
    query_BHQd = functional.linear(normed_BQD, weight[:D], bias[:D]).view(
        B, -1, block.heads, D // block.heads
    )
    key_value = functional.linear(normed_BXD, weight[D:], bias[D:]).view(B, X, 2, block.heads, -1)
    key_BHXd, value_BHXd = key_value.permute(2, 0, 3, 1, 4)
    seen_BHQd = functional.scaled_dot_product_attention(
        query_BHQd.transpose(1, 2), key_BHXd, value_BHXd, is_seen_BQX.unsqueeze(1)
    )
    return block.thought(asked_BQD + block.attention_out(seen_BHQd.transpose(1, 2).reshape(B, -1, D)))


def _with_tails(
    history_BL: npt.NDArray[np.int64], lengths_B: npt.NDArray[np.int64], num_events: int
) -> tuple[npt.NDArray[Any], ...]:
    """Histories with a tail for each deletion: which event stands at each place of X, which one before it and where, what it sees.

    That is event_BX, before_BX (-1 for none), positions_BX, is_seen_BXX, and the places of Q to ask, -1 for none.
    """
    B, L = history_BL.shape
    T = min(num_events, L)
    # The tail of age a holds the a events that are younger, the oldest of them first.
    age_S, event_S = np.array([(a, a - 1 - n) for a in range(1, T) for n in range(a)] or [(0, 0)]).T
    begin_S = age_S * (age_S - 1) // 2  # where the tail of each place begins, in S
    place_BS, gap_BS = lengths_B[:, None] - 1 - event_S, lengths_B[:, None] - 1 - age_S
    item_BS = np.take_along_axis(history_BL, np.maximum(place_BS, 0), axis=1)
    is_kept_BS = (gap_BS >= 0) & (item_BS != np.take_along_axis(history_BL, np.maximum(gap_BS, 0), axis=1))
    kept_BS = np.cumsum(is_kept_BS, axis=1)
    before_BS = np.concatenate([np.zeros((B, 1), np.int64), kept_BS], axis=1)[:, begin_S]
    position_BS = np.maximum(gap_BS + kept_BS - before_BS - 1, 0)
    is_one_tail_SS = (age_S[:, None] == age_S) & np.tri(len(age_S), dtype=bool)
    # Before an event of a tail comes the youngest that is kept of those before it there, or what precedes the deleted one.
    is_before_BSS = is_one_tail_SS & ~np.eye(len(age_S), dtype=bool) & is_kept_BS[:, None, :]
    previous_BS = np.where(is_before_BSS, place_BS[:, None, :], gap_BS[:, :, None] - 1).max(axis=2)
    X = L + len(age_S)
    is_seen_BXX = np.zeros((B, X, X), bool)
    is_seen_BXX[:, :L, :L] = np.tri(L, dtype=bool)
    is_seen_BXX[:, L:, :L] = np.arange(L) < gap_BS[:, :, None]
    is_seen_BXX[:, L:, L:] = is_one_tail_SS & is_kept_BS[:, None, :]
    is_seen_BXX[:, np.arange(X), np.arange(X)] = True  # nobody asks, but an empty row would be NaN
    places_BQ = np.tile(lengths_B[:, None] - 1, (1, 1 + num_events))
    events_BT = last_events([row[:length] for row, length in zip(history_BL, lengths_B, strict=True)], T)
    is_deleted_BT = deletable(events_BT) >= 0
    for age in range(T):
        tail = slice(age * (age - 1) // 2, age * (age + 1) // 2)
        place_B = lengths_B - 2 - age  # what stands before the deleted item, where nothing follows it
        if age:
            ends_B = np.where(is_kept_BS[:, tail], np.arange(tail.start, tail.stop), -1).max(axis=1)
            place_B = np.where(ends_B >= 0, L + ends_B, place_B)
        places_BQ[:, 1 + age] = np.where(is_deleted_BT[:, age], np.maximum(place_B, -1), lengths_B - 1)
    return (
        np.concatenate([np.tile(np.arange(L), (B, 1)), np.maximum(place_BS, 0)], axis=1),
        np.concatenate([np.tile(np.arange(L) - 1, (B, 1)), np.maximum(previous_BS, -1)], axis=1),
        np.concatenate([np.tile(np.arange(L), (B, 1)), position_BS], axis=1),
        is_seen_BXX,
        places_BQ,
    )
