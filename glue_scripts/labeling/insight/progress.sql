-- Work submitted by hour. A data object counts in the hour of its first answer.
SELECT
  a.job_name,
  a.modality,
  a.task_type,
  a.hour,
  a.answer_count,
  a.label_count,
  coalesce(t.task_count, 0) AS task_count,
  a.worker_count,
  a.seconds
FROM (
  SELECT
    job_name,
    any_value(modality) AS modality,
    any_value(task_type) AS task_type,
    date_trunc('HOUR', submitted_at) AS hour,
    count(*) AS answer_count,
    sum(label_count) AS label_count,
    count(DISTINCT worker_id) AS worker_count,
    CAST(sum(CAST(seconds AS DECIMAL(18, 6))) AS DOUBLE) AS seconds
  FROM answer
  WHERE submitted_at IS NOT NULL
  GROUP BY job_name, date_trunc('HOUR', submitted_at)
) a
LEFT JOIN (
  SELECT job_name, date_trunc('HOUR', first_at) AS hour, count(*) AS task_count
  FROM (
    SELECT job_name, object_id, min(submitted_at) AS first_at
    FROM answer
    WHERE submitted_at IS NOT NULL
    GROUP BY job_name, object_id
  ) firsts
  GROUP BY job_name, date_trunc('HOUR', first_at)
) t
  ON a.job_name = t.job_name AND a.hour = t.hour
