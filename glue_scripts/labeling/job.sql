-- One row per job. Times of a job come from its answers; from its labels where there are no answers.
SELECT
  j.job_name,
  j.modality,
  j.task_type,
  j.level,
  j.batch,
  j.base_job,
  j.label_attribute,
  coalesce(a.started_at, t.first_created_at) AS started_at,
  CASE
    WHEN a.finished_at IS NULL OR t.last_created_at > a.finished_at THEN t.last_created_at
    ELSE a.finished_at
  END AS finished_at,
  i.input_count,
  coalesce(t.task_count, 0) AS task_count,
  coalesce(t.labeled_count, 0) AS labeled_count,
  coalesce(t.failed_count, 0) AS failed_count,
  coalesce(t.audited_count, 0) AS audited_count,
  coalesce(t.adjusted_count, 0) AS adjusted_count,
  coalesce(a.answer_count, 0) AS answer_count,
  coalesce(t.annotation_count, 0) AS annotation_count,
  coalesce(t.frame_count, 0) AS frame_count,
  coalesce(a.worker_count, 0) AS worker_count,
  a.seconds
FROM jobs j
LEFT JOIN (
  SELECT
    job_name,
    min(created_at) AS first_created_at,
    max(created_at) AS last_created_at,
    count(*) AS task_count,
    sum(CASE WHEN status = 'labeled' THEN 1 ELSE 0 END) AS labeled_count,
    sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed_count,
    sum(CASE WHEN audited THEN 1 ELSE 0 END) AS audited_count,
    sum(CASE WHEN adjusted THEN 1 ELSE 0 END) AS adjusted_count,
    sum(annotation_count) AS annotation_count,
    sum(frame_count) AS frame_count
  FROM task
  GROUP BY job_name
) t ON j.job_name = t.job_name
LEFT JOIN (
  SELECT
    job_name,
    min(coalesce(accepted_at, submitted_at)) AS started_at,
    max(submitted_at) AS finished_at,
    count(*) AS answer_count,
    count(DISTINCT worker_id) AS worker_count,
    CAST(sum(CAST(seconds AS DECIMAL(18, 6))) AS DOUBLE) AS seconds
  FROM answer
  GROUP BY job_name
) a ON j.job_name = a.job_name
LEFT JOIN (SELECT job_name, max(object_count) AS input_count FROM parsed_input GROUP BY job_name) i
  ON j.job_name = i.job_name
