"""Training a sequence model: ``fit`` yields a record for each epoch; the caller logs, times and stops.

B batch · L length · P positions with a next item · N items · M negatives
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.events import items_of
from models.losses import full_cross_entropy, generalised_bce, sampled_softmax
from models.metrics import Targets, ndcg_at
from models.peers import Peers, add_up_gradients, added_up, share_of
from models.recommender import Histories, State
from models.sequence_model import SequenceModel, pad
from models.topk import top_k
from models.windows import (
    Weights,
    Window,
    at_places,
    batches_of,
    log_proposal,
    target_places,
    weights_of,
    windows_of,
)

#: Cross-entropy over all items (affordable up to about 5,000), over shared negatives, or gBCE over shared negatives.
Loss: TypeAlias = Literal["full", "sampled", "gbce"]


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the same config, data, machine and number of threads give the same weights, bit by bit."""

    epochs: int = 30
    batch_size: int = 32  # histories
    learning_rate: float = 3e-3  # high, because it is the average of the weights over time that is kept
    weight_decay: float = 0.01
    warmup_steps: int = 50
    seed: int = 0
    loss: Loss | None = None  # None: "sampled" where there are negatives, else "full"
    num_negatives: int | None = None  # that all positions of a batch share; None with the full loss only
    calibration: float = 0.75  # of gBCE
    horizon: int = 1  # a position's target is one of the next so many items, drawn anew in each epoch
    patience: int = 3  # epochs without a better validation NDCG before training stops
    threads: int = 1
    device: Literal["cpu", "cuda"] = "cpu"  # on cuda products are taken in bfloat16
    averaging: float = 0.99  # how slowly the kept average follows the weights, a step

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.horizon, self.patience, self.threads) < 1:
            raise ValueError(
                f"{self}: epochs, batch_size, horizon, patience and threads have to be at least 1"
            )
        if self.num_negatives is not None and self.num_negatives < 1:
            raise ValueError(f"num_negatives is {self.num_negatives}; use None for all items")
        if self.loss is not None and (self.loss == "full") != (self.num_negatives is None):
            raise ValueError(
                f'loss {self.loss} with num_negatives {self.num_negatives}: "full" takes none, the others need some'
            )
        if not 0 <= self.calibration <= 1:
            raise ValueError(f"calibration is {self.calibration}; it has to lie in [0, 1], 0 is plain BCE")
        if not 0 <= self.averaging < 1:
            raise ValueError(
                f"averaging is {self.averaging}; it has to lie in [0, 1), 0 keeps the last weights"
            )


@dataclass(frozen=True)
class Validation:
    """Users whose next items are known: what an epoch is judged by."""

    histories: Histories
    targets: Targets
    is_seen_excluded: bool = False  # as it will be in the lists


@dataclass(frozen=True)
class Epoch:
    """What one pass over the data gave."""

    number: int  # from 1
    loss: float
    num_positions: int
    ndcg_at_10: float | None  # None without validation
    is_best: bool
    seconds: float | None  # None without a clock

    @property
    def positions_per_second(self) -> float | None:
        return self.num_positions / self.seconds if self.seconds else None


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs: all that it needs to go on as if it had never stopped."""

    epochs: tuple[Epoch, ...]  # what has been; never empty
    arrays: dict[str, npt.NDArray[Any]]  # weights, their average, the best average, optimizer and generators

    @property
    def best(self) -> Epoch:
        return next(epoch for epoch in reversed(self.epochs) if epoch.is_best)


def fit(
    model: SequenceModel,
    sequences: Histories,
    config: TrainConfig,
    validation: Validation | None = None,
    clock: Callable[[], float] | None = None,
    weights: Sequence[npt.NDArray[np.floating[Any]]] | None = None,
    keep: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    peers: Peers | None = None,
) -> Iterator[Epoch]:
    """Train the model to name each next item of each sequence; one record an epoch, as it ends.

    What is judged and kept is a running average of the weights (Polyak and Juditsky, 1992), which allows a
    learning rate several times higher without a schedule that knows when training will end: here it reached
    in 7 epochs what plain AdamW reached in 23.

    With a ``horizon`` above 1 the model learns what comes soon instead of what comes next (PinnerFormer; Pancha
    et al., KDD 2022). Where people buy by the basket, the next item is the next line of the same invoice and
    says little about the next visit: 10 gained a sixth of NDCG@10 there; where they take one at a time, 1 is best.

    With ``weights``, one for each item of each sequence, a position counts as the item that it is to name: recent items
    may count more than old ones. They are made to have a mean of 1 over all positions.

    With ``keep``, what a training needs to go on is handed to it after each epoch. Given back as ``resume``, with the
    same model, data and config as at the beginning, the training goes on after that epoch, and its weights end up the
    same, bit by bit, as if nothing had ended it.

    With ``peers`` every process calls this with the same model, data and config. Each computes the gradient of its share of
    a batch, and all go on with the sum; what is drawn (batches, targets, negatives, dropout) is drawn alike in each, and of it
    a process takes its share. So all come to the weights that one process would come to, but for the rounding of sums.

    However the iteration ends (all epochs, patience, or the caller closing it), the model then holds the
    average of its best epoch by validation NDCG@10, or of its last one without validation.

    Raises:
        ValueError: no sequence has two items, the weights do not fit, the loss is not finite, the checkpoint is of
            another model, or there is no such device.
    """
    windows = windows_of(sequences, model.config.max_length)
    if not windows:
        raise ValueError(f"none of {len(sequences)} sequences has two items; there is nothing to predict")
    num_positions = sum(len(window) - 1 for window in windows)
    rng = np.random.default_rng(config.seed)
    weighted = None if weights is None else weights_of(sequences, weights, model.config.max_length)
    trainer = _Trainer(model, config, windows, weighted, rng, peers)
    epochs = resume.epochs if resume else ()
    best = resume.best if resume else None
    best_weights = trainer.restore(resume.arrays) if resume else trainer.averaged_weights()
    try:
        for number in range(len(epochs) + 1, config.epochs + 1):
            if best is not None and len(epochs) - best.number >= config.patience:
                return
            started = clock() if clock else 0.0
            with _torch_threads(config.threads):
                total_loss = trainer.run_epoch(batches_of(windows, config.batch_size, rng))
                if not np.isfinite(total_loss):
                    raise ValueError(f"the loss of epoch {number} is {total_loss}; lower the learning rate")
                ndcg = _validate(trainer.average, validation, peers) if validation else None
            is_best = best is None or ndcg is None or ndcg > (best.ndcg_at_10 or 0.0)
            seconds = clock() - started if clock else None
            epoch = Epoch(number, total_loss / num_positions, num_positions, ndcg, is_best, seconds)
            epochs = (*epochs, epoch)
            if is_best:
                best, best_weights = epoch, trainer.averaged_weights()
            if keep is not None:
                keep(Checkpoint(epochs, trainer.arrays(best_weights)))
            yield epoch
    finally:
        model.load_state_dict(best_weights)
        model.to("cpu")
        model.eval()


class _Trainer:
    """The model, its running average, its optimizer and its own randomness."""

    def __init__(
        self,
        model: SequenceModel,
        config: TrainConfig,
        windows: list[Window],
        weights: list[Weights] | None,
        rng: np.random.Generator,
        peers: Peers | None,
    ) -> None:
        if config.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device is cuda, and torch finds no such device here; use cpu")
        self._model = model
        model.to(config.device)
        self._rng = rng
        self._config = config
        self._peers = peers
        self._windows = windows
        self._items_of_windows = [items_of(window) for window in windows]
        self._weights_of_windows = weights
        self._generator = torch.Generator().manual_seed(config.seed)
        self._masks = model.use_dropout_from(self._generator, sum(map(len, windows)))
        self._weights: list[Tensor] = list(model.parameters())
        self._optimizer = torch.optim.AdamW(
            self._weights,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self._log_q_N = (
            log_proposal(self._items_of_windows, model.config.num_items) if config.num_negatives else None
        )
        self._num_steps = 0
        self.average = type(model).from_state(model.config, model.state())
        self.average.to(config.device)

    def run_epoch(self, batches: Iterator[Window]) -> float:
        """One pass; the loss summed over all positions."""
        self._model.train()
        self._masks.refill()
        total_loss = math.fsum(self._step(batch) for batch in batches)
        return added_up(self._peers, total_loss, self._config.device)

    def averaged_weights(self) -> dict[str, Tensor]:
        return {name: weight.clone() for name, weight in self.average.state_dict().items()}

    def arrays(self, best_weights: dict[str, Tensor]) -> dict[str, npt.NDArray[Any]]:
        """Everything that the next epoch depends on, as copies. The pool of masks does not: it is drawn anew."""
        parts = {
            "weights": self._model.state_dict(),
            "average": self.average.state_dict(),
            "best": best_weights,
            **{f"optimizer.{at}": self._optimizer.state[weight] for at, weight in enumerate(self._weights)},
        }
        arrays = {
            f"{part}.{name}": values.detach().cpu().numpy().copy()
            for part, tensors in parts.items()
            for name, values in tensors.items()
        }
        order = json.dumps(self._rng.bit_generator.state).encode()
        return arrays | {
            "generator": self._generator.get_state().numpy().copy(),
            "order": np.frombuffer(order, np.uint8).copy(),
            "num_steps": np.array(self._num_steps),
        }

    def restore(self, arrays: State) -> dict[str, Tensor]:
        """Go back to where :meth:`arrays` was called; returns the best weights."""

        def part(name: str) -> dict[str, Tensor]:
            start = f"{name}."
            return {
                key.removeprefix(start): torch.from_numpy(np.array(values))
                for key, values in arrays.items()
                if key.startswith(start)
            }

        try:
            self._model.load_state_dict(part("weights"))
            self.average.load_state_dict(part("average"))
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of another model: {error}") from error
        for at, weight in enumerate(self._weights):
            moments = part(f"optimizer.{at}")
            self._optimizer.state[weight] = {
                name: values.to(weight.device) for name, values in moments.items()
            }
        self._generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
        self._rng.bit_generator.state = json.loads(arrays["order"].tobytes())
        self._num_steps = int(arrays["num_steps"])
        return part("best")

    def _step(self, batch: Window) -> float:
        windows = [self._windows[index] for index in batch]
        places = target_places(windows, self._config.horizon, self._rng)
        num_targets, longest = sum(map(len, places)), max(map(len, places))
        share, of_loss = share_of(self._peers, len(batch))
        self._masks.share = (len(batch), share) if self._peers else None
        batch, windows, places = batch[share], windows[share], places[share]
        history_BL, lengths_B = pad([window[:-1] for window in windows], self._model.config, longest)
        targets_P = torch.from_numpy(at_places([self._items_of_windows[index] for index in batch], places))
        of_loss *= len(targets_P) / num_targets
        weights_P = None
        if self._weights_of_windows is not None:
            weights_P = torch.from_numpy(
                at_places([self._weights_of_windows[index] for index in batch], places)
            )
        is_real_BL = torch.arange(history_BL.shape[1]) < lengths_B.unsqueeze(1)
        device = self._config.device
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            states_PD = self._model(history_BL.to(device))[is_real_BL.to(device)]
            loss = self._loss(
                states_PD, targets_P.to(device), None if weights_P is None else weights_P.to(device)
            )
        self._optimizer.zero_grad(set_to_none=True)
        (loss * of_loss).backward()  # type: ignore[no-untyped-call]
        add_up_gradients(self._peers, self._weights)
        self._num_steps += 1
        warmth = min(1.0, self._num_steps / (self._config.warmup_steps + 1))
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * warmth
        self._optimizer.step()
        self._follow()
        return loss.item() * of_loss * num_targets

    def _loss(self, states_PD: Tensor, targets_P: Tensor, weights_P: Tensor | None) -> Tensor:
        """The loss of the config over this batch, with negatives drawn for it."""
        items_ND, config = self._model.item_embeddings, self._config
        if self._log_q_N is None or config.num_negatives is None:
            return full_cross_entropy(states_PD, items_ND, targets_P, weights_P)
        # Drawn on the processor: the same ones wherever they are used.
        negatives_M = torch.multinomial(
            self._log_q_N.exp(), config.num_negatives, replacement=True, generator=self._generator
        ).to(config.device)
        log_q_N = self._log_q_N.to(config.device)
        if config.loss == "gbce":
            return generalised_bce(
                states_PD, items_ND, targets_P, negatives_M, log_q_N, config.calibration, weights_P
            )
        return sampled_softmax(states_PD, items_ND, targets_P, negatives_M, log_q_N, weights_P)

    def _follow(self) -> None:
        """Move the average towards the weights, faster in the first steps, whose weights are soon worth nothing."""
        averaging = min(self._config.averaging, (1 + self._num_steps) / (10 + self._num_steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self._weights, 1 - averaging)


def _validate(model: SequenceModel, validation: Validation, peers: Peers | None) -> float:
    """NDCG@10, the mean over users; each of the peers asks its share of them."""
    share = slice(None) if peers is None else slice(peers.rank, None, peers.size)
    histories, targets = validation.histories[share], validation.targets[share]
    scores_UN = model.score(histories)
    if validation.is_seen_excluded:
        for scores_N, history in zip(scores_UN, histories, strict=True):
            scores_N[items_of(history)] = -np.inf
    lists_UK, _ = top_k(scores_UN, 10)
    gains_U = ndcg_at(lists_UK, targets, 10)
    if peers is None:
        return float(gains_U.mean())
    total = added_up(peers, float(gains_U.sum()), model.item_embeddings.device)
    return total / len(validation.histories)


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Torch's number of threads for a while; it is a global, so it is given back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
