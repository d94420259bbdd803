"""The networks that read histories: the shape of each, and how it is trained, as the settings have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from contracts.settings import inputs_of
from jobs.training.recommenders import GRU4REC, SASREC, Gru4RecOptions
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.sasrec import SASRec, SASRecConfig
from models.training import Loss, TrainConfig

#: Above this many items a full cross-entropy costs more than shared negatives.
_FULL_SOFTMAX_ITEMS = 5000
_NUM_NEGATIVES = 1024


@dataclass(frozen=True)
class Network:
    """One of them: what is trained, and how."""

    name: str
    kind: type[SASRec] | type[GRU4Rec]
    config: Callable[..., Any]  # given num_items, the config of the kind
    training: Callable[..., TrainConfig]  # given what is true of every network
    epochs: int
    loss: Loss | Literal["auto"]
    reads_events: bool = False  # does it read more of an event than its item?

    def trained_over(
        self, num_items: int, chosen: Mapping[str, Any], num_epochs: int | None = None
    ) -> TrainConfig:
        """How it is trained over so many items, for so many epochs or the most that it may take."""
        loss = loss_of(self.loss, num_items)
        return self.training(
            epochs=num_epochs or self.epochs,
            seed=chosen["seed"],
            loss=loss,
            num_negatives=None if loss == "full" else _NUM_NEGATIVES,
            threads=chosen["threads"],
            device=chosen["train_device"],
        )


def transformer(chosen: Mapping[str, Any]) -> Network:
    """SASRec, set by ``FORETASTE_SASREC_*``."""
    shape = {name: chosen[f"sasrec_{name}"] for name in ("width", "blocks", "heads", "dropout")}
    inputs = inputs_of(chosen["sasrec_inputs"])
    shape |= {"reads_gaps": "gaps" in inputs, "reads_types": "types" in inputs}
    return Network(
        SASREC,
        SASRec,
        partial(SASRecConfig, **shape, max_length=chosen["history_length"]),
        partial(TrainConfig, learning_rate=chosen["sasrec_learning_rate"], horizon=chosen["sasrec_horizon"]),
        epochs=chosen["sasrec_epochs"],
        loss=chosen["sasrec_loss"],
        reads_events=bool(inputs),
    )


def recurrent(chosen: Mapping[str, Any], options: Gru4RecOptions) -> Network:
    """GRU4Rec, set by its section of ``expectations/recommenders.toml``."""
    shape = options.model_dump(include={"width", "layers", "dropout"})
    return Network(
        GRU4REC,
        GRU4Rec,
        partial(GRU4RecConfig, **shape, max_length=chosen["history_length"]),
        partial(TrainConfig, learning_rate=options.learning_rate, horizon=options.horizon),
        epochs=options.epochs,
        loss=options.loss,
    )


def loss_of(chosen: Loss | Literal["auto"], num_items: int) -> Loss:
    """The loss that a setting means for so many items."""
    if chosen == "auto":
        return "full" if num_items <= _FULL_SOFTMAX_ITEMS else "sampled"
    return chosen
