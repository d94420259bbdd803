"""How fast lists are made of states that are encoded: exact top 100 of 20,000 items, width 64, one thread.

``score.vs_product``: users a second, product and selection; the reference is the bare product in single precision (the faster of
NumPy's and torch's) into memory that is used again. ``score.vs_faiss``: the same beside the flat index of faiss, which runs in
an environment of its own and is given the very same numbers. ``score.million``: seconds for a million users; the reference is the
bare product for as many, and the unit says what memory was added to that of states and lists at most.

Seconds are those of the processor, so that other programs on the machine count little. What is compared runs in turns, five times and more; the figure is the median, and its ratio that of the medians.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from benchmarks.figure import Figure, figure
from benchmarks.peak import Peak, of_tree
from benchmarks.reference import Reference
from models.topk import top_k

NUM_ITEMS, WIDTH, K = 20_000, 64, 100
_USERS, _REPEATS, _BLOCK = 4_096, 7, 256
_MILLION = 1_000_000
FloatArray = npt.NDArray[np.float32]


def vs_product(_: Path, num_users: int = _USERS, num_items: int = NUM_ITEMS) -> Iterator[Figure]:
    """Beside the bare product."""
    states_UD, items_ND = _drawn(num_users, num_items)
    with _one_thread():
        seconds = in_turns(
            {
                "ours": lambda: lists_of(states_UD, items_ND),
                "numpy": lambda: _numpy_product(states_UD, items_ND),
                "torch": lambda: _torch_product(states_UD, items_ND),
            }
        )
    faster = min(("numpy", "torch"), key=lambda name: seconds[name])
    yield figure(
        "score.vs_product", num_users / seconds["ours"], f"users/s, top {K} of {num_items:,}, width {WIDTH}{missed(seconds[faster] / seconds['ours'], 0.5)}",
        num_users / seconds[faster], f"the bare product, {faster}, one thread",
    )  # fmt: skip


def vs_faiss(folder: Path) -> Iterator[Figure]:
    """Beside faiss' flat index; nothing where that cannot be installed."""
    reference = Reference("faiss", ("faiss-cpu", "numpy"))
    states_UD, items_ND = _drawn(_USERS, NUM_ITEMS)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "states.npy", states_UD)
    np.save(folder / "items.npy", items_ND)
    ours, theirs = [], []
    for _ in range(5):
        told = json.loads(reference.run(_FAISS, str(folder), str(K)))
        theirs += told["seconds"]
        with _one_thread():
            started = time.process_time()
            items_UK, _ = lists_of(states_UD, items_ND)
            ours.append(time.process_time() - started)
    same = np.mean(
        np.sort(items_UK[: len(told["items"])], axis=1) == np.sort(np.array(told["items"]), axis=1)
    )
    yield figure(
        "score.vs_faiss", _USERS / median(ours), f"users/s, top {K} of {NUM_ITEMS:,}, width {WIDTH}; {same:.2%} of the places alike{missed(median(theirs) / median(ours), 2.5)}",
        _USERS / median(theirs), f"faiss {told['version']}, IndexFlatIP, one thread",
    )  # fmt: skip


_FAISS = """
import json, sys, time
import faiss, numpy
folder, k = sys.argv[1], int(sys.argv[2])
states, items = numpy.load(folder + "/states.npy"), numpy.load(folder + "/items.npy")
faiss.omp_set_num_threads(1)
index = faiss.IndexFlatIP(items.shape[1])
index.add(items)
index.search(states[:256], k)
started = time.process_time()
_, found = index.search(states, k)
seconds = time.process_time() - started
print(json.dumps({"seconds": [seconds], "items": found[:200].tolist(), "version": faiss.__version__}))
"""


def million(_: Path, num_users: int = _MILLION, num_items: int = NUM_ITEMS) -> Iterator[Figure]:
    """A million users once encoded."""
    states_UD, items_ND = _drawn(num_users, num_items)
    few_UD = states_UD[: max(1, num_users // 50)]
    with _one_thread():
        lists_of(few_UD, items_ND)  # what is used once (threads' buffers) is there before memory is looked at
        before = of_tree(os.getpid())()
        peak = Peak(of_tree(os.getpid()))
        with peak.watched():
            started = time.process_time()
            items_UK, scores_UK = lists_of(states_UD, items_ND)
            seconds = time.process_time() - started
        product = median(_seconds_of(lambda: _numpy_product(few_UD, items_ND)) for _ in range(5))
    lists = items_UK.nbytes + scores_UK.nbytes
    beside = max(0, peak.bytes - before - lists) / 2**20
    yield figure(
        "score.million", seconds, f"s, top {K} of {num_items:,} for {num_users:,} users, one thread; {beside:,.0f} MiB beside states and lists",
        product * num_users / len(few_UD), "the bare product, measured on a fiftieth",
    )  # fmt: skip


def missed(ratio: float, floor: float) -> str:
    """What the page says where a floor is not held."""
    return "" if ratio >= floor else f"; floor {floor} of the reference missed by {floor - ratio:.2f}"


def lists_of(
    states_UD: FloatArray, items_ND: FloatArray, users_at_once: int = _BLOCK
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The best items and their scores, block by block, as scoring does it: no more scores are held than one block's."""
    items_UK, best_UK = np.empty((len(states_UD), K), np.int64), np.empty((len(states_UD), K))
    out = np.empty((min(users_at_once, len(states_UD)), len(items_ND)), np.float32)
    for start in range(0, len(states_UD), users_at_once):
        part = slice(start, start + users_at_once)
        scores_BN = np.matmul(states_UD[part], items_ND.T, out=out[: len(states_UD[part])])
        items_UK[part], best_UK[part] = top_k(scores_BN, K)
    return items_UK, best_UK


def in_turns(what: dict[str, Callable[[], Any]], repeats: int = _REPEATS) -> dict[str, float]:
    """The median seconds of each, run one after another and all again: what disturbs one disturbs the others too."""
    found: dict[str, list[float]] = {name: [] for name in what}
    for run in what.values():
        run()
    for _ in range(repeats):
        for name, run in what.items():
            found[name].append(_seconds_of(run))
    return {name: median(seconds) for name, seconds in found.items()}


def _seconds_of(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _numpy_product(states_UD: FloatArray, items_ND: FloatArray, users_at_once: int = _BLOCK) -> None:
    out = np.empty((users_at_once, len(items_ND)), np.float32)
    for start in range(0, len(states_UD), users_at_once):
        part = states_UD[start : start + users_at_once]
        np.matmul(part, items_ND.T, out=out[: len(part)])


def _torch_product(states_UD: FloatArray, items_ND: FloatArray, users_at_once: int = _BLOCK) -> None:
    items_DN, out = torch.from_numpy(items_ND).T, torch.empty(users_at_once, len(items_ND))
    for start in range(0, len(states_UD), users_at_once):
        part = torch.from_numpy(states_UD[start : start + users_at_once])
        torch.mm(part, items_DN, out=out[: len(part)])


def _drawn(num_users: int, num_items: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(7)
    return rng.standard_normal((num_users, WIDTH), np.float32), rng.standard_normal(
        (num_items, WIDTH), np.float32
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    try:
        with limits:
            yield
    finally:
        torch.set_num_threads(before)
