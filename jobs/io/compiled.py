"""The dbt project as SQL: each model compiled, and one hash that says what a table's values follow from.

It is compiled for DuckDB in memory, whatever warehouse there is, so that nobody has to open one: with the defaults for its
hashes, because what a run was set to stands in the run's manifest, and with what the run was set to for the SQL of samples.
A model's hash covers its own SQL and that of all it reads, seeds by their content; comments, layout, descriptions and
materializations do not count.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contracts.errors import ForetasteError
from contracts.settings import Settings
from jobs.io import dbt
from jobs.io.commit import digest_of, write_durably
from jobs.io.state import LANDINGS, State

#: What partitions are hashed with: those of dbt_project.yml are for people who call dbt themselves.
DEFAULTS: Mapping[str, Any] = {"half_life_days": 14, "missing_consent": "granted", "session_gap_minutes": 30}


@dataclass(frozen=True)
class Model:
    """A model or a seed: a table or view, and the query that gives its rows."""

    name: str
    schema: str
    kind: str  # view, table, incremental or seed
    by: str  # of an incremental one: the column that says to which day a row belongs
    sql: str
    columns: dict[str, str]
    key: tuple[str, ...]
    reads: tuple[str, ...]  # models and seeds; what it reads of the landing is in its SQL
    own_hash: str  # of its own SQL
    hash: str  # of its own and of all that it reads

    @property
    def relation(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class CompiledProject:
    """Every model of a project, each after those that it reads."""

    digest: str  # of the project's files
    models: dict[str, Model]
    variables: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULTS))

    def hash_of(self, name: str) -> str:
        """The hash of a model, by the name of its table without a layer.

        Raises:
            ForetasteError: the project has no such model.
        """
        if name not in self.models:
            raise ForetasteError(
                f"the dbt project has no model {name}, which the lake keeps. Bring dbt_project/models/…/{name}.sql back."
            )
        return self.models[name].hash

    def write(self, path: Path) -> None:
        text = json.dumps(
            {
                "digest": self.digest,
                "models": [asdict(model) for model in self.models.values()],
                "variables": dict(self.variables),
            },
            sort_keys=True,
            ensure_ascii=False,
        )
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_durably(path, text)

    @classmethod
    def read(cls, path: Path) -> CompiledProject | None:
        """What :meth:`write` has written; None where there is nothing, or something of another release."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            models = [
                Model(**each | {"key": tuple(each["key"]), "reads": tuple(each["reads"])})
                for each in values["models"]
            ]
            variables = {name: values["variables"][name] for name in DEFAULTS}
        except (FileNotFoundError, KeyError, TypeError, json.JSONDecodeError):
            return None
        return cls(values["digest"], {model.name: model for model in models}, variables)


def compile_project(
    settings: Settings, project: Path | None = None, *, variables: Mapping[str, Any] = DEFAULTS
) -> CompiledProject:
    """The project (this one, or another folder) as it is now; compiled again only when one of its files has changed.

    Args:
        variables: what the SQL is for; hashes are those of the defaults whatever it is.

    Raises:
        ForetasteError: it does not compile.
    """
    project = project or dbt.PROJECT
    digest = source_digest(project)
    path = settings.home / "dbt" / ("compiled.json" if variables == DEFAULTS else "compiled_as_run.json")
    known = CompiledProject.read(path)
    if known is not None and (known.digest, known.variables) == (digest, variables):
        return known
    key = digest_of([digest, sorted(variables.items())])
    if key not in _of_this_process:
        nodes = _nodes_of(dbt.compile_models(settings, variables=variables, project=project), project)
        if variables == DEFAULTS:
            models = _hashed(nodes)
        else:
            hashed = compile_project(settings, project).models
            models = {name: replace(model, sql=nodes[name]["sql"]) for name, model in hashed.items()}
        _of_this_process[key] = CompiledProject(digest, models, dict(variables))
    _of_this_process[key].write(path)
    return _of_this_process[key]


#: By digest of project and variables, whatever the home: to compile takes seconds.
_of_this_process: dict[str, CompiledProject] = {}


def source_digest(project: Path) -> str:
    """Of all that the compiled SQL follows from."""
    return digest_of([dbt.project_digest(project), version("dbt-core"), version("dbt-duckdb")])


def variables_now(settings: Settings) -> dict[str, Any]:
    """What a run would be set to now, where no built project says what the last one was set to."""
    landings = State.of(settings).all(LANDINGS)
    newest = landings[max(landings)] if landings else {}
    chosen = {name: getattr(settings, name) for name in DEFAULTS if name != "missing_consent"}
    return {**DEFAULTS, **chosen, "missing_consent": newest.get("missing_consent", "granted")}


def built_path(settings: Settings) -> Path:
    """Where the transform step leaves the project that the newest partitions were built by, as their run was set."""
    return settings.home / "dbt" / "built.json"


def built_project(settings: Settings) -> CompiledProject | None:
    """The project that the newest partitions of the lake were built by; None before there are any."""
    return CompiledProject.read(built_path(settings))


def _nodes_of(manifest: Any, project: Path) -> dict[str, dict[str, Any]]:
    """What is kept of dbt's nodes, by name."""
    nodes = {uid: node for uid, node in manifest.nodes.items() if node.resource_type in ("model", "seed")}
    keys = {
        node.attached_node: tuple(node.test_metadata.kwargs["columns"])
        for node in manifest.nodes.values()
        if getattr(node, "test_metadata", None) is not None and node.test_metadata.name == "unique_together"
    }
    found = {}
    for uid, node in nodes.items():
        is_seed = node.resource_type == "seed"
        types = node.config.column_types if is_seed else {}
        found[node.name] = {
            "name": node.name,
            "schema": node.schema,
            "kind": "seed" if is_seed else str(node.config.materialized),
            "by": str(node.config.unique_key) if node.config.materialized == "incremental" else "",
            "sql": _seed_query(project / node.original_file_path, types)
            if is_seed
            else node.compiled_code.replace('"memory".', "").strip(),
            "columns": dict(types) or {name: column.data_type for name, column in node.columns.items()},
            "key": keys.get(uid, ()),
            "reads": tuple(
                sorted(
                    {nodes[each].name for each in (() if is_seed else node.depends_on.nodes) if each in nodes}
                )
            ),
        }
    return found


def _seed_query(path: Path, types: dict[str, str]) -> str:
    """The rows of a seed as a query: a seed is then a model like any other."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))

    def literal(value: str) -> str:
        return "null" if value == "" else "'" + value.replace("'", "''") + "'"

    listed = ", ".join(f"({', '.join(literal(value) for value in row)})" for row in rows)
    typed = ", ".join(f"cast({name} as {types.get(name, 'text')}) as {name}" for name in header)
    return f"select {typed} from (values {listed}) as seed ({', '.join(header)})"


def _hashed(nodes: dict[str, dict[str, Any]]) -> dict[str, Model]:
    models: dict[str, Model] = {}
    for name in TopologicalSorter(
        {name: node["reads"] for name, node in sorted(nodes.items())}
    ).static_order():
        node = nodes[name]
        own = digest_of([meaning_of(node["sql"]), sorted(node["columns"].items())])
        upstream = [[read, models[read].hash] for read in node["reads"]]
        models[name] = Model(**node, own_hash=own, hash=digest_of([own, upstream]))
    return models


_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<space>\s+)""", re.DOTALL
)


def meaning_of(sql: str) -> str:
    """SQL without comments and layout: what two spellings of one query have in common."""
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(sql):
        parts += [sql[end : match.start()], match["kept"] or " "]
        end = match.end()
    parts.append(sql[end:])
    told = [part for part in parts if part]
    return "".join(
        part for before, part in zip(["", *told], told, strict=False) if not (part == " " == before)
    ).strip()
