"""A model as files: safetensors and one JSON description, known by their digest; never a pickle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts import names
from contracts.errors import ModelRefused
from jobs.io.commit import digest_of, fsync_path, sha256_of_file
from jobs.ranking.next_item import FEATURES, NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.score_model import CONTENT, COVISITATION, POPULARITY, Model, ScoreModel
from models.blended_scores import Scorer
from models.content import Content
from models.covisitation import CoVisitation
from models.ease import EASE
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.popularity import Popularity
from models.sasrec import SASRec, SASRecConfig

DESCRIPTION = "model.json"
_WEIGHTS = ".safetensors"
#: What a model may be made of, each a file of weights.
_PARTS = ("als", "ease", "gru4rec", "ranker", "sasrec")
#: What reads histories: its config stands in the description.
_NETWORKS: dict[str, tuple[Any, Any]] = {
    "gru4rec": (GRU4Rec, GRU4RecConfig),
    "sasrec": (SASRec, SASRecConfig),
}
_RANKED, _SCORED = "ranked", "scored"
_MAX_BYTES = 4 << 30

State = Mapping[str, npt.NDArray[Any]]


def save_model(model: Model, facts: dict[str, Any], root: Path) -> tuple[Path, str]:
    """Write a model below ``root`` in a folder named by its digest; returns the folder and the digest.

    ``facts`` say what it was made of (day, data, settings); they are part of the digest.
    """
    from safetensors.numpy import save_file

    root.mkdir(parents=True, exist_ok=True)
    staged = root / f".staged-{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    described, states = _described(model) if isinstance(model, NextItemModel) else _described_scores(model)
    for name, state in states.items():
        save_file(_contiguous(state), staged / f"{name}{_WEIGHTS}")
    description = {
        "task": names.NEXT_ITEM_TASK,
        "item_ids": list(model.item_ids),
        **described,
        "facts": facts,
    }
    (staged / DESCRIPTION).write_text(json.dumps(description, sort_keys=True, ensure_ascii=False))
    digest = digest_of_folder(staged)
    folder = root / digest
    for path in staged.iterdir():
        fsync_path(path)
    if folder.exists():
        shutil.rmtree(staged)
    else:
        staged.replace(folder)
        fsync_path(root)
    return folder, digest


def _described(model: NextItemModel) -> tuple[dict[str, Any], dict[str, State]]:
    described = {
        "kind": _RANKED,
        "features": list(model.reads),
        "preparation": model.preparation.state(),
        "sasrec": _without_defaults(model.sasrec.config),
        "ranker": asdict(model.ranker.config),
    }
    return described, {"sasrec": model.sasrec.state(), "ranker": model.ranker.state()}


def _described_scores(model: ScoreModel) -> tuple[dict[str, Any], dict[str, State]]:
    options: dict[str, dict[str, Any]] = {}
    states: dict[str, State] = {}
    for name, recommender in model.recommenders.items():
        options[name] = {}
        if isinstance(recommender, CoVisitation | Content):
            options[name] = {"num_recent": recommender.num_recent, "half_life": recommender.half_life}
        elif not isinstance(recommender, Popularity):
            states[name] = recommender.state()
        if isinstance(recommender, SASRec | GRU4Rec):
            options[name] = _without_defaults(recommender.config)
    # A list, as the order of the recommenders is that in which their scores are added up.
    parts = [{"name": name, "weight": model.weights[name], "options": options[name]} for name in options]
    return {"kind": _SCORED, "recommenders": parts}, states


def _without_defaults(config: SASRecConfig | GRU4RecConfig) -> dict[str, Any]:
    """The config; what it does not read goes without saying, as it did before there was a choice."""
    return {name: value for name, value in asdict(config).items() if value is not False}


def digest_of_folder(folder: Path) -> str:
    """sha256 over the digests of the model's files, in the order of their names."""
    return digest_of([[path.name, sha256_of_file(path)] for path in sorted(folder.iterdir())])


def size_of_folder(folder: Path) -> int:
    """Bytes of the model's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def load_model(folder: Path, digest: str) -> Model:
    """Load a model whose bytes are those that the digest names.

    Raises:
        ModelRefused: a file is missing, foreign or changed, or a weight is not finite or misshapen.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    found_files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    known = {f"{part}{_WEIGHTS}" for part in _PARTS}
    if DESCRIPTION not in found_files or set(found_files) - known - {DESCRIPTION}:
        raise ModelRefused(
            f"{folder} holds {found_files or 'nothing'}; a model is {DESCRIPTION} and some of {', '.join(sorted(known))}. Retrain."
        )
    if size_of_folder(folder) > _MAX_BYTES:
        raise ModelRefused(f"{folder} is larger than {_MAX_BYTES >> 30} GiB. Retrain with a smaller width.")
    found = digest_of_folder(folder)
    if found != digest:
        raise ModelRefused(
            f"{folder} has digest {found[:12]}…, registered was {digest[:12]}…. Remove it; it is fetched again."
        )
    description = json.loads((folder / DESCRIPTION).read_text())
    if description.get("task") != names.NEXT_ITEM_TASK:
        raise ModelRefused(
            f"{folder} is a model of the task {description.get('task')!r}, not {names.NEXT_ITEM_TASK!r}. Retrain."
        )
    if unknown := sorted(set(description.get("features", ())) - set(FEATURES)):
        raise ModelRefused(
            f"{folder} was trained on {unknown[0]}, which nothing computes any more. Declare it again in "
            "dbt_project/models/features, or retrain: foretaste retrain"
        )
    loaders: dict[str, Callable[[dict[str, Any], Mapping[str, State]], Model]]
    loaders = {_RANKED: _load_ranked, _SCORED: _load_scored}
    # What was trained before there were two kinds does not say which it is.
    load = loaders.get(description.get("kind", _RANKED))
    if load is None:
        raise ModelRefused(
            f"{folder} is a model of the kind {description['kind']!r}, which this Foretaste does not know. "
            "Upgrade, or retrain: foretaste retrain"
        )
    try:
        states = {path.stem: load_file(path) for path in folder.glob(f"*{_WEIGHTS}")}
        return load(description, states)
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ModelRefused(f"{folder} is not a usable model: {error}. Retrain: foretaste retrain") from error


def _load_ranked(description: dict[str, Any], states: Mapping[str, State]) -> NextItemModel:
    config = MLPRankerConfig(**description["ranker"] | {"widths": tuple(description["ranker"]["widths"])})
    ranker = MLPRanker.from_state(config, states["ranker"])
    return NextItemModel(
        item_ids=np.array(description["item_ids"], dtype=object),
        sasrec=SASRec.from_state(SASRecConfig(**description["sasrec"]), states["sasrec"]),
        ranker=ranker,
        preparation=(
            Preparation.from_state(description["preparation"])
            if "preparation" in description
            else Preparation.as_they_are(ranker.feature_names)  # trained before there was one
        ),
    )


def _load_scored(description: dict[str, Any], states: Mapping[str, State]) -> ScoreModel:
    from models.als import ALS

    recommenders: dict[str, Scorer] = {}
    for part in description["recommenders"]:
        name, options = part["name"], part["options"]
        if name == POPULARITY:
            recommenders[name] = Popularity()
        elif name == COVISITATION:
            recommenders[name] = CoVisitation(**options)
        elif name == CONTENT:
            recommenders[name] = Content(**options)
        elif name in _NETWORKS:
            network, config = _NETWORKS[name]
            recommenders[name] = network.from_state(config(**options), states[name])
        elif name == "ease":
            recommenders[name] = EASE.from_state(states[name])
        elif name == "als":
            recommenders[name] = ALS.from_state(states[name])
        else:
            raise ValueError(f"{name} is no recommender that is known")
    return ScoreModel(
        item_ids=np.array(description["item_ids"], dtype=object),
        recommenders=recommenders,
        weights={part["name"]: float(part["weight"]) for part in description["recommenders"]},
    )


def _contiguous(state: State) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(array, order="C") for name, array in state.items()}
