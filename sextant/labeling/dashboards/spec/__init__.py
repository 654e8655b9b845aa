"""The labeling dashboards: the two of the original post, and what its tables and the analytics can tell beyond them.

Each page is a module with its `DASHBOARD` and the `DATASETS` it brings; what they share is in `common`.
"""

from sextant.labeling.dashboards.model import Specification
from sextant.labeling.dashboards.spec import annotations, audits, cost, overview, tracks, workers
from sextant.labeling.dashboards.spec.annotations import ANNOTATION_FILTERS

__all__ = ["ANNOTATION_FILTERS", "SPECIFICATION"]

_PAGES = (overview, annotations, workers, audits, tracks, cost)

SPECIFICATION = Specification(
    datasets={name: dataset for page in _PAGES for name, dataset in page.DATASETS.items()},
    dashboards=tuple(page.DASHBOARD for page in _PAGES),
)
