-- One row per data object: what the manifest and the sequence file say of it, and the answers to it. A data object with
-- answers alone is still being worked on. Of several labels, the class and its confidence are those of the first label
-- attribute by name.
SELECT
  t.job_name,
  j.modality,
  j.task_type,
  t.object_id,
  t.source_ref,
  CASE
    WHEN t.failed > 0 AND t.labeled = 0 THEN 'failed'
    WHEN t.labeled > 0 THEN 'labeled'
    ELSE 'answered'
  END AS status,
  t.reason,
  coalesce(t.answer_count, 0) AS answer_count,
  coalesce(t.worker_count, 0) AS worker_count,
  coalesce(t.annotation_count, 0) AS annotation_count,
  coalesce(t.frame_count, 0) AS frame_count,
  t.seconds,
  (t.audited > 0 OR j.modality LIKE '%Audit') AND t.labeled > 0 AS audited,
  t.adjusted > 0 AS adjusted,
  c.label,
  c.confidence,
  t.created_at
FROM (
  SELECT
    job_name,
    object_id,
    max(source_ref) AS source_ref,
    sum(failed) AS failed,
    sum(labeled) AS labeled,
    max(reason) AS reason,
    sum(answer_count) AS answer_count,
    sum(worker_count) AS worker_count,
    sum(annotation_count) AS annotation_count,
    sum(frame_count) AS frame_count,
    max(seconds) AS seconds,
    sum(audited) AS audited,
    sum(adjusted) AS adjusted,
    max(created_at) AS created_at
  FROM (
    SELECT
      job_name,
      object_id,
      source_ref,
      CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS failed,
      CASE WHEN status = 'labeled' THEN 1 ELSE 0 END AS labeled,
      reason,
      CAST(NULL AS BIGINT) AS answer_count,
      CAST(NULL AS BIGINT) AS worker_count,
      annotation_count,
      frame_count,
      CAST(NULL AS DOUBLE) AS seconds,
      CASE WHEN audited THEN 1 ELSE 0 END AS audited,
      CASE WHEN adjusted THEN 1 ELSE 0 END AS adjusted,
      created_at
    FROM parsed_task
    UNION ALL
    SELECT
      job_name,
      object_id,
      CAST(NULL AS STRING) AS source_ref,
      0 AS failed,
      0 AS labeled,
      CAST(NULL AS STRING) AS reason,
      count(*) AS answer_count,
      count(DISTINCT worker_id) AS worker_count,
      CAST(NULL AS BIGINT) AS annotation_count,
      CAST(NULL AS BIGINT) AS frame_count,
      CAST(sum(CAST(seconds AS DECIMAL(18, 6))) AS DOUBLE) AS seconds,
      0 AS audited,
      0 AS adjusted,
      CAST(NULL AS TIMESTAMP) AS created_at
    FROM answer
    GROUP BY job_name, object_id
  ) facts
  GROUP BY job_name, object_id
) t
JOIN jobs j ON t.job_name = j.job_name
LEFT JOIN (
  SELECT p.job_name, p.object_id, max(p.label) AS label, max(p.confidence) AS confidence
  FROM parsed_task p
  JOIN (
    SELECT job_name, object_id, min(label_attribute) AS label_attribute
    FROM parsed_task
    WHERE label IS NOT NULL
    GROUP BY job_name, object_id
  ) told
    ON p.job_name = told.job_name AND p.object_id = told.object_id AND p.label_attribute = told.label_attribute
  GROUP BY p.job_name, p.object_id
) c ON t.job_name = c.job_name AND t.object_id = c.object_id
