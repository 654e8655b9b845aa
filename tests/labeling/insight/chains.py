"""Groups of rows as `levels.sql` gives them."""

import pyarrow as pa

TEXT = ("kind", "root_job", "bucket", "data_object", "job_name", "modality", "task_type", "base_job", "object_id")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in (*TEXT, "source_ref")),
        ("created_on", pa.date32()),
        ("adjusted", pa.bool_()),
        ("seconds", pa.float64()),
        *((name, pa.string()) for name in ("known", "counted", "audit_attribute", "worker_id", "sub", "username")),
        ("frame_no", pa.int32()),
        *((name, pa.string()) for name in ("frame", "row_id", "instance_id", "instance_name", "label", "shape")),
        *((name, pa.float64()) for name in ("left_px", "top_px", "width_px", "height_px")),
        ("geometry", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)


def chain_table(rows):
    """Rows as dicts of columns; attributes as a dict."""
    filled = []
    for row in rows:
        attributes = row.get("attributes")
        filled.append({**row, "attributes": list(attributes.items()) if isinstance(attributes, dict) else attributes})
    return pa.Table.from_pylist(filled, schema=COLUMNS)
