"""A session model as bytes: safetensors with a description in JSON, never a pickle. Networks are imported where there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from models.blended_scores import BlendedScores, Scorer
from models.content import Content
from models.covisitation import CoVisitation
from models.ease import EASE
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.recommender import checked_state
from models.session_model import SessionModel

Arrays = dict[str, npt.NDArray[Any]]

_DESCRIPTION = "description"
_CATALOGUE = {"is_available": (None,), "index": (None,)}
_IN_TIES, _TO_VOCABULARY = "in_ties", "to_vocabulary"
_NETWORKS = ("SASRec", "GRU4Rec")  # whose config stands in the description
_CHAMPION, _NEIGHBOURS = "champion.", "neighbours."
_PLAIN: dict[str, Any] = {
    each.__name__: each for each in (EASE, CoVisitation, Content, Popularity)
}  # by kind, which a description names


def to_bytes(model: SessionModel) -> bytes:
    """The model, whole; the same model gives the same bytes."""
    from safetensors.numpy import save

    arrays: Arrays = {"is_available": model.is_available_N, "index": model.index_N}
    arrays |= _of(_NEIGHBOURS, model.neighbours.state())
    described: list[dict[str, Any]] = []
    if model.champion is not None:
        arrays |= {_IN_TIES: model.champion.in_ties_N, _TO_VOCABULARY: model.champion.to_vocabulary_N}
        for place, (name, recommender) in enumerate(model.champion.recommenders.items()):
            kind, weight = type(recommender).__name__, float(model.champion.weights_R[place])
            config = asdict(_config(recommender)) if kind in _NETWORKS else None
            described.append({"name": name, "kind": kind, "weight": weight, "config": config})
            arrays |= _of(f"{_CHAMPION}{name}.", recommender.state())
    told = json.dumps({"has_champion": model.champion is not None, "recommenders": described}, sort_keys=True)
    arrays[_DESCRIPTION] = np.frombuffer(told.encode(), np.uint8)
    saved: bytes = save({name: _narrow(array) for name, array in arrays.items()})
    return saved


def from_bytes(saved: bytes) -> SessionModel:
    """The inverse of :func:`to_bytes`.

    Raises:
        ValueError: the bytes are no session model; the message says why.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: Arrays = load(saved)
        described = json.loads(arrays.pop(_DESCRIPTION).tobytes())
        catalogue = checked_state({name: arrays[name] for name in _CATALOGUE}, _CATALOGUE)
        neighbours = Neighbours.from_state(_part(_NEIGHBOURS, arrays))
        champion = _champion(described["recommenders"], arrays) if described["has_champion"] else None
        is_available_N, index_N = catalogue["is_available"].astype(bool), catalogue["index"].astype(np.int64)
        return SessionModel(champion, neighbours, is_available_N, index_N)
    except (SafetensorError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"no session model: {type(error).__name__}: {error}") from error


def _config(network: Any) -> Any:
    return network.config


def _champion(described: list[dict[str, Any]], arrays: Arrays) -> BlendedScores:
    return BlendedScores(
        {
            each["name"]: _recommender(
                each["kind"], each["config"], _part(f"{_CHAMPION}{each['name']}.", arrays)
            )
            for each in described
        },
        np.array([each["weight"] for each in described], np.float32),
        arrays[_TO_VOCABULARY].astype(np.int64),
        arrays[_IN_TIES],
    )


def _recommender(kind: str, config: Mapping[str, Any] | None, state: Arrays) -> Scorer:
    found: Scorer
    if kind == "SASRec":
        from models.sasrec import SASRec, SASRecConfig

        found = SASRec.from_state(SASRecConfig(**config or {}), state)
    elif kind == "GRU4Rec":
        from models.gru4rec import GRU4Rec, GRU4RecConfig

        found = GRU4Rec.from_state(GRU4RecConfig(**config or {}), state)
    elif kind == "ALS":
        from models.als import ALS

        found = ALS.from_state(state)
    else:
        found = _PLAIN[kind].from_state(state)
    return found


def _of(prefix: str, state: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {f"{prefix}{name}": array for name, array in state.items()}


def _part(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Indices in half the room; whoever reads them takes either."""
    is_narrow = array.dtype == np.int64 and (not array.size or int(np.abs(array).max()) < 1 << 31)
    return np.asarray(array.astype(np.int32) if is_narrow else array, order="C")
