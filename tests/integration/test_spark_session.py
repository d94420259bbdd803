"""A Spark session starts where it can, says why where it cannot, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.cluster import standalone_cluster
from contracts.errors import JavaMissing, ServiceUnreachable
from contracts.settings import load_settings
from jobs.features.class_archive import make_class_archive
from jobs.io import spark
from jobs.io.java import JAVA_NEEDED, class_archive, java_version
from jobs.io.spark import spark_context

pytestmark = pytest.mark.integration


def fake_java(folder: Path, told: str) -> Path:
    folder.mkdir(parents=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{told}' >&2\n")
    java.chmod(0o755)
    return folder


def java_processes() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if "java" in child.name()}


def test_the_java_of_this_machine_will_do() -> None:
    assert java_version() >= JAVA_NEEDED


def test_no_java_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(JavaMissing, match=r"no java found \(on the PATH\).*apt-get install openjdk-17"),
        spark_context(load_settings(home=tmp_path)),
    ):
        pass


@pytest.mark.parametrize("told", ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_292"', "what?"])
def test_an_old_java_is_told_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk" / "bin", told).parent))
    with pytest.raises(
        JavaMissing, match=rf"JAVA_HOME={tmp_path}/jdk\) is too old: {told.replace('?', '.')}"
    ):
        java_version()


def test_an_archive_of_classes_belongs_to_one_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    one, other = (
        fake_java(tmp_path / release / "bin", f'openjdk version "{release}"').parent
        for release in ("17.0.1", "17.0.2")
    )
    archives = set()
    for home in (one, other, one):
        monkeypatch.setenv("JAVA_HOME", str(home))
        archives.add(class_archive())
    assert len(archives) == 2
    assert {path.parent for path in archives} == {tmp_path / "share" / "foretaste"}


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has mapped is told by Linux alone")
def test_a_session_takes_its_classes_from_the_archive_of_the_environment(tmp_path: Path) -> None:
    """``make setup`` has made it."""
    with spark_context(load_settings(home=tmp_path, spark_memory="600m")) as context:
        assert context.range(3).count() == 3
        (jvm,) = java_processes()
        mapped = Path(f"/proc/{jvm}/maps").read_text()
    assert str(class_archive()) in mapped


@pytest.mark.slow
def test_the_archive_is_made_once_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    archive = make_class_archive()
    made_at = archive.stat().st_mtime_ns
    assert list(archive.parent.iterdir()) == [archive]
    assert make_class_archive().stat().st_mtime_ns == made_at


def test_a_session_ends_with_its_jvm_and_leaves_nothing_outside_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere, temporary = tmp_path / "a [home] of {ours}", tmp_path / "elsewhere", tmp_path / "tmp"
    elsewhere.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SPARK_HOME", "/of/somebody/else")
    before = dict(os.environ)
    performance = {path.name for path in Path("/tmp").glob("hsperfdata_*/*")}
    with spark_context(load_settings(home=home, spark_memory="600m")) as context:
        jvms = java_processes()
        assert len(jvms) == 1
        assert not {path.name for path in Path("/tmp").glob("hsperfdata_*/*")} - performance & {
            str(pid) for pid in jvms
        }
        with spark_context(load_settings(home=tmp_path / "another")) as inner:
            assert inner is context  # whoever started it stops it
        assert context.range(3).map(lambda number: number + 1).collect() == [1, 2, 3]
        assert context.pythonExec == sys.executable
    assert not java_processes()
    assert dict(os.environ) == before
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in (home / "spark" / "tmp").iterdir()] == []


def test_a_master_that_does_not_answer_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ServiceUnreachable, match=rf"{master} does not answer .*FORETASTE_SPARK_MASTER"),
            spark_context(load_settings(home=tmp_path, spark_master=master)),
        ):
            pass


@pytest.mark.slow
def test_a_master_without_workers_is_told_and_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "_SECONDS_TO_FIND_EXECUTORS", 2.0)
    with (
        standalone_cluster(tmp_path / "cluster", num_workers=0) as cluster,
        pytest.raises(ServiceUnreachable, match=r"gave no executor within 2 s.*Start a worker"),
        spark_context(load_settings(home=tmp_path / "home", spark_master=cluster.master)),
    ):
        pass
    assert not {pid for pid in java_processes() if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE}
