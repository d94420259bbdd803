"""Pooled dropout: the right share, the right scale, its own randomness."""

from __future__ import annotations

import pytest
import torch

from models.dropout import MaskPool, PooledDropout


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr("models.dropout._LARGEST_POOL", 1000)
    pool = MaskPool(0.25, 5000, torch.Generator().manual_seed(1))
    pool.refill()
    return pool


def test_a_quarter_is_dropped_and_the_rest_made_up_for(pool):
    mask = pool.take(torch.empty(30, 30))
    assert mask.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (mask == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)


def test_masks_differ_from_use_to_use_and_from_refill_to_refill(pool):
    like = torch.empty(20, 20)
    first, second, after_the_end = pool.take(like), pool.take(like), pool.take(like)
    assert not torch.equal(first, second)
    assert not torch.equal(after_the_end, first)
    pool.refill()
    assert not torch.equal(pool.take(like), first)


def test_the_pool_is_no_larger_than_what_is_needed():
    pool = MaskPool(0.5, 8, torch.Generator().manual_seed(1))
    pool.refill()
    first, second = pool.take(torch.empty(8)), pool.take(torch.empty(8))
    assert torch.equal(first, second)


def test_a_mask_larger_than_the_pool_is_drawn_for_itself(pool):
    assert (pool.take(torch.empty(2000)) == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)


def test_nothing_is_dropped_when_evaluating(pool):
    dropout = PooledDropout()
    dropout.pool = pool
    values = torch.ones(50)
    assert torch.equal(dropout.eval()(values), values)
    assert not torch.equal(dropout.train()(values), values)
