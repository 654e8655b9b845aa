SELECT
  worker_id,
  username,
  job_name,
  modality,
  task_type,
  to_date(submitted_at) AS submitted_on,
  count(*) AS answer_count,
  count(seconds) AS timed_count,
  sum(label_count) AS label_count,
  sum(frame_count) AS frame_count,
  CAST(sum(CAST(seconds AS DECIMAL(18, 6))) AS DOUBLE) AS seconds,
  min(seconds) AS minimum_seconds,
  max(seconds) AS maximum_seconds,
  sum(CASE WHEN seconds IS NOT NULL THEN label_count END) AS timed_label_count
FROM answer
GROUP BY worker_id, username, job_name, modality, task_type, to_date(submitted_at)
