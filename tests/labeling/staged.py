"""Parses documents as the job does, chunk by chunk, without its SQL."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sextant.labeling import etl
from sextant.labeling.staging import STAGED


def stage(folder, objects):
    """Writes objects (key -> document, text or bytes) below a folder, parses them, and returns staged rows by table."""
    source, staging = Path(folder) / "in", Path(folder) / "staging"
    for key, body in objects.items():
        path = source / key
        path.parent.mkdir(parents=True, exist_ok=True)
        text = body if isinstance(body, bytes | str) else json.dumps(body)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse(source, staging)


def parse(source, staging, categories=""):
    found = etl.survey(f"{source}/", str(categories))
    for work in (etl.manifest_work, etl.other_work):
        batch = pa.RecordBatch.from_pydict({"work": work(found, str(staging))})
        list(etl.parse(iter([batch])))
    return {
        table.name: [
            row
            for path in sorted((staging / table.name).glob("*.parquet"))
            for row in pq.ParquetFile(path).read().to_pylist()
        ]
        for table in STAGED
    }


def manifest(*lines):
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines) + "\n"
