"""The service's limits, from the page "Quotas in Amazon Lookout for Vision" of its developer guide.

Their codes in Service Quotas (`L-…`) are in no source that still exists: an error's QuotaCode is the limit's name here.
That of a project's anomaly labels is `manifest.MOST_LABELS`. Not kept are limits that only the service's own training
and trials had: all photographs of one size, at least 20 normal ones in a single dataset, at least 10 anomalies and 20
images of each anomaly label, and at most 2,000 photographs of a trial.
"""

from __future__ import annotations

TRAINING_IMAGES = 16_000
TEST_IMAGES = 4_000
NORMALS_TO_TRAIN = 10
CONCURRENT_TRAININGS = 2
TRAINING_SECONDS = 24 * 3600
PHOTOGRAPH_BYTES = 8 * 2**20
CHANGES_BYTES = 10 * 2**20
MANIFEST_BYTES = 2**30
TAGS = 200
PAGE = 100
"""Results of a page where the request names no number, and at most."""

IMAGES = {"train": TRAINING_IMAGES, "test": TEST_IMAGES}
