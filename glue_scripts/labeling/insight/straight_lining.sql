-- What one worker said after another, in the order of submission. Choices come one by one, for their data objects
-- matter; values of label attributes, of which there may be millions, come as tallies and as runs of equal values. Of a
-- tracked object only the first value counts: that the others repeat it is nobody's laziness.
WITH told AS (
  SELECT
    a.job_name,
    a.modality,
    a.task_type,
    a.worker_id,
    a.username,
    a.answer_id,
    a.object_id,
    a.submitted_at,
    s.frame_no,
    s.position,
    s.attributes
  FROM answer a
  JOIN (
    SELECT
      answer_id,
      min(frame_no) AS frame_no,
      min_by(position, coalesce(frame_no, 0)) AS position,
      min_by(attributes, coalesce(frame_no, 0)) AS attributes
    FROM answer_annotation
    GROUP BY
      answer_id,
      coalesce(instance_id, concat(coalesce(frame, ''), ':', CAST(position AS STRING)))
  ) s
    ON a.answer_id = s.answer_id
  WHERE a.submitted_at IS NOT NULL
),
item AS (
  SELECT
    job_name,
    modality,
    task_type,
    worker_id,
    username,
    answer_id,
    object_id,
    submitted_at,
    frame_no,
    position,
    attribute,
    value
  FROM told
  LATERAL VIEW explode(attributes) pair AS attribute, value
),
beside AS (
  SELECT
    *,
    lag(value) OVER (
      PARTITION BY job_name, worker_id, attribute ORDER BY submitted_at, answer_id, frame_no, position
    ) AS value_before,
    lead(value) OVER (
      PARTITION BY job_name, worker_id, attribute ORDER BY submitted_at, answer_id, frame_no, position
    ) AS value_after
  FROM item
  WHERE value IS NOT NULL
),
numbered AS (
  SELECT
    *,
    sum(CASE WHEN value = value_before THEN 0 ELSE 1 END) OVER (
      PARTITION BY job_name, worker_id, attribute ORDER BY submitted_at, answer_id, frame_no, position
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS run
  FROM beside
),
part AS (
  SELECT
    job_name,
    any_value(modality) AS modality,
    any_value(task_type) AS task_type,
    worker_id,
    any_value(username) AS username,
    answer_id,
    any_value(object_id) AS object_id,
    any_value(submitted_at) AS submitted_at,
    attribute,
    any_value(value) AS value,
    run,
    count(*) AS part_length
  FROM numbered
  GROUP BY job_name, worker_id, attribute, run, answer_id
)
SELECT
  'choice' AS kind,
  job_name,
  modality,
  task_type,
  worker_id,
  username,
  answer_id,
  object_id,
  submitted_at,
  CAST(NULL AS STRING) AS attribute,
  label AS value,
  CAST(NULL AS BIGINT) AS run_length,
  CAST(NULL AS BIGINT) AS answer_count,
  CAST(NULL AS BIGINT) AS followed_count,
  CAST(NULL AS BIGINT) AS repeated_count
FROM answer
WHERE label IS NOT NULL AND submitted_at IS NOT NULL
UNION ALL
SELECT
  'tally' AS kind,
  job_name,
  CAST(NULL AS STRING) AS modality,
  CAST(NULL AS STRING) AS task_type,
  worker_id,
  CAST(NULL AS STRING) AS username,
  CAST(NULL AS STRING) AS answer_id,
  CAST(NULL AS STRING) AS object_id,
  CAST(NULL AS TIMESTAMP) AS submitted_at,
  attribute,
  value,
  CAST(NULL AS BIGINT) AS run_length,
  count(*) AS answer_count,
  count(value_after) AS followed_count,
  count(CASE WHEN value_after = value THEN 1 END) AS repeated_count
FROM beside
GROUP BY job_name, worker_id, attribute, value
UNION ALL
SELECT
  'run' AS kind,
  job_name,
  modality,
  task_type,
  worker_id,
  username,
  answer_id,
  object_id,
  submitted_at,
  attribute,
  value,
  run_length,
  CAST(NULL AS BIGINT) AS answer_count,
  CAST(NULL AS BIGINT) AS followed_count,
  CAST(NULL AS BIGINT) AS repeated_count
FROM (
  SELECT
    *,
    CAST(sum(part_length) OVER (PARTITION BY job_name, worker_id, attribute, run) AS BIGINT) AS run_length
  FROM part
) parts
WHERE run_length >= 5
