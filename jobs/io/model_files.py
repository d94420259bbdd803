"""A model as files: safetensors and one JSON description, known by their digest; never a pickle."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from contracts import names
from contracts.errors import ModelRefused
from jobs.io.commit import digest_of, fsync_path, sha256_of_file
from jobs.ranking.next_item import FEATURES, NextItemModel
from jobs.ranking.preparation import Preparation

DESCRIPTION = "model.json"
_TASK = names.NEXT_ITEM_TASK
_FILES = (DESCRIPTION, "ranker.safetensors", "sasrec.safetensors")
_MAX_BYTES = 4 << 30


def save_model(model: NextItemModel, facts: dict[str, Any], root: Path) -> tuple[Path, str]:
    """Write a model below ``root`` in a folder named by its digest; returns the folder and the digest.

    ``facts`` say what it was made of (day, data, settings); they are part of the digest.
    """
    from safetensors.numpy import save_file

    root.mkdir(parents=True, exist_ok=True)
    staged = root / f".staged-{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    save_file(_contiguous(model.sasrec.state()), staged / "sasrec.safetensors")
    save_file(_contiguous(model.ranker.state()), staged / "ranker.safetensors")
    description = {
        "task": _TASK,
        "item_ids": list(model.item_ids),
        "features": list(model.reads),
        "preparation": model.preparation.state(),
        "sasrec": asdict(model.sasrec.config),
        "ranker": asdict(model.ranker.config),
        "facts": facts,
    }
    (staged / DESCRIPTION).write_text(json.dumps(description, sort_keys=True, ensure_ascii=False))
    digest = digest_of_folder(staged)
    folder = root / digest
    for name in _FILES:
        fsync_path(staged / name)
    if folder.exists():
        shutil.rmtree(staged)
    else:
        staged.replace(folder)
        fsync_path(root)
    return folder, digest


def digest_of_folder(folder: Path) -> str:
    """sha256 over the digests of the model's files, in the order of their names."""
    return digest_of([[name, sha256_of_file(folder / name)] for name in _FILES])


def size_of_folder(folder: Path) -> int:
    """Bytes of the model's files."""
    return sum((folder / name).stat().st_size for name in _FILES)


def load_model(folder: Path, digest: str) -> NextItemModel:
    """Load a model whose bytes are those that the digest names.

    Raises:
        ModelRefused: a file is missing, foreign or changed, or a weight is not finite or misshapen.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from models.mlp_ranker import MLPRanker, MLPRankerConfig
    from models.sasrec import SASRec, SASRecConfig

    found_files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if found_files != sorted(_FILES):
        raise ModelRefused(
            f"{folder} holds {found_files or 'nothing'}; a model is exactly {', '.join(_FILES)}. Retrain."
        )
    if size_of_folder(folder) > _MAX_BYTES:
        raise ModelRefused(f"{folder} is larger than {_MAX_BYTES >> 30} GiB. Retrain with a smaller width.")
    found = digest_of_folder(folder)
    if found != digest:
        raise ModelRefused(
            f"{folder} has digest {found[:12]}…, registered was {digest[:12]}…. Remove it; it is fetched again."
        )
    description = json.loads((folder / DESCRIPTION).read_text())
    if description.get("task") != _TASK:
        raise ModelRefused(
            f"{folder} is a model of the task {description.get('task')!r}, not {_TASK!r}. Retrain."
        )
    if unknown := sorted(set(description["features"]) - set(FEATURES)):
        raise ModelRefused(
            f"{folder} was trained on {unknown[0]}, which nothing computes any more. Declare it again in "
            "dbt_project/models/features, or retrain: foretaste retrain"
        )
    try:
        ranker = MLPRanker.from_state(
            MLPRankerConfig(**description["ranker"] | {"widths": tuple(description["ranker"]["widths"])}),
            load_file(folder / "ranker.safetensors"),
        )
        return NextItemModel(
            item_ids=np.array(description["item_ids"], dtype=object),
            sasrec=SASRec.from_state(
                SASRecConfig(**description["sasrec"]), load_file(folder / "sasrec.safetensors")
            ),
            ranker=ranker,
            preparation=(
                Preparation.from_state(description["preparation"])
                if "preparation" in description
                else Preparation.as_they_are(ranker.feature_names)  # trained before there was one
            ),
        )
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ModelRefused(f"{folder} is not a usable model: {error}. Retrain: foretaste retrain") from error


def _contiguous(state: dict[str, Any]) -> dict[str, Any]:
    return {name: np.ascontiguousarray(array) for name, array in state.items()}
