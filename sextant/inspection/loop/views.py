"""The table of verdicts and the reports over it, as Athena's SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Columns: TypeAlias = tuple[tuple[str, str], ...]

COLUMNS: Columns = (
    ("item", "string"),
    ("project", "string"),
    ("model_version", "string"),
    ("line", "string"),
    ("camera", "string"),
    ("at", "string"),
    ("is_anomalous", "boolean"),
    ("confidence", "double"),
    ("verdict", "string"),
    ("labels", "array<string>"),
    ("brightness", "double"),
    ("sharpness", "double"),
    ("crop_ok", "boolean"),
    ("source", "string"),
    ("seconds", "double"),
    ("truth", "string"),
)
"""Of `verdicts`, in Hive's types, as `lines.line` writes them; the partition column `day` comes on top."""


@dataclass(frozen=True)
class View:
    """One view: `sql` is Athena's dialect with unqualified table names; `columns` in the order of the SELECT."""

    name: str
    sql: str
    columns: Columns
    doc: str


_COUNTS = """
  count(*) AS items,
  count_if(is_anomalous) AS anomalies,
  count_if(verdict = 'reject') AS rejects,
  count_if(verdict = 'review') AS reviews"""

# Wilson's score interval at 95 %: z = 1.96.
_RATIO = """
  CAST(anomalies AS double) / items AS ratio,
  (anomalies + 1.9208 - 1.96 * sqrt(CAST(anomalies AS double) * (items - anomalies) / items + 0.9604))
    / (items + 3.8416) AS ratio_low,
  (anomalies + 1.9208 + 1.96 * sqrt(CAST(anomalies AS double) * (items - anomalies) / items + 0.9604))
    / (items + 3.8416) AS ratio_high"""

_COUNTED: Columns = (
    ("items", "bigint"),
    ("anomalies", "bigint"),
    ("rejects", "bigint"),
    ("reviews", "bigint"),
    ("ratio", "double"),
    ("ratio_low", "double"),
    ("ratio_high", "double"),
)

VIEWS = (
    View(
        "anomaly_ratio",
        f"""SELECT
  project,
  line,
  camera,
  span,
  items,
  anomalies,
  rejects,
  reviews,{_RATIO}
FROM (
  SELECT
  project,
  coalesce(line, '') AS line,
  coalesce(camera, '') AS camera,
  span,{_COUNTS}
  FROM verdicts
  CROSS JOIN (
    VALUES ('1d', 1), ('3d', 3), ('1w', 7), ('2w', 14), ('1m', 30), ('3m', 90), ('6m', 180)
  ) AS spans (span, days)
  WHERE day >= date_format(current_timestamp - INTERVAL '181' DAY, '%Y-%m-%d')
    AND from_iso8601_timestamp(at) > current_timestamp - days * INTERVAL '1' DAY
  GROUP BY GROUPING SETS ((project, span), (project, line, span), (project, line, camera, span))
) AS counted""",  # noqa: S608 - of constants
        (("project", "string"), ("line", "string"), ("camera", "string"), ("span", "string"), *_COUNTED),
        "Items, anomalies and their ratio with its 95 % interval, for the last 1d, 3d, 1w, 2w, 1m, 3m and 6m. Rows "
        "with an empty line are of the whole project, with an empty camera of the whole line.",
    ),
    View(
        "anomaly_ratio_per_hour",
        f"""SELECT
  project,
  line,
  camera,
  hour,
  items,
  anomalies,
  rejects,
  reviews,{_RATIO}
FROM (
  SELECT
  project,
  line,
  camera,
  substr(at, 1, 13) AS hour,{_COUNTS}
  FROM verdicts
  GROUP BY project, line, camera, substr(at, 1, 13)
) AS counted""",  # noqa: S608 - of constants
        (("project", "string"), ("line", "string"), ("camera", "string"), ("hour", "string"), *_COUNTED),
        "The same by UTC hour of taking (YYYY-MM-DDTHH), for graphs; name days in a WHERE to read less.",
    ),
    View(
        "checked",
        """SELECT
  project,
  model_version,
  count_if(truth = 'normal') AS normals,
  count_if(truth = 'normal' AND is_anomalous) AS false_rejects,
  count_if(truth = 'anomaly') AS anomalies,
  count_if(truth = 'anomaly' AND NOT is_anomalous) AS missed
FROM verdicts
WHERE truth IS NOT NULL
GROUP BY project, model_version""",
        (
            ("project", "string"),
            ("model_version", "string"),
            ("normals", "bigint"),
            ("false_rejects", "bigint"),
            ("anomalies", "bigint"),
            ("missed", "bigint"),
        ),
        "What people said of verdicts, by model version. People see what was sent to review, so these are no rates of "
        "the belt.",
    ),
)
