-- Answers that tell their time, each with what is known of its worker's quality in the job: audited labels, and the
-- accuracy against gold labels or, where there are none, the one that Dawid and Skene's model predicts.
SELECT
  a.job_name,
  a.modality,
  a.task_type,
  a.answer_id,
  a.object_id,
  a.worker_id,
  a.username,
  a.submitted_at,
  a.seconds,
  a.label_count,
  audits.audited_count,
  audits.passed_count,
  coalesce(gold.accuracy, model.accuracy) AS accuracy,
  CASE WHEN gold.accuracy IS NULL THEN model.lower ELSE gold.lower END AS accuracy_lower,
  CASE WHEN gold.accuracy IS NULL THEN model.upper ELSE gold.upper END AS accuracy_upper,
  CASE WHEN gold.accuracy IS NULL THEN model.answer_count ELSE gold.answer_count END AS accuracy_count,
  CASE WHEN gold.accuracy IS NULL THEN model.method ELSE gold.method END AS accuracy_method
FROM answer a
LEFT JOIN (
  SELECT audited_job, worker, sum(audited_count) AS audited_count, sum(passed_count) AS passed_count
  FROM audit_count
  WHERE attribute = '' AND worker IS NOT NULL
  GROUP BY audited_job, worker
) audits
  ON a.job_name = audits.audited_job AND a.username = audits.worker
LEFT JOIN (SELECT * FROM worker_quality WHERE method = 'gold' AND accuracy IS NOT NULL) gold
  ON a.job_name = gold.job_name AND a.worker_id = gold.worker_id
LEFT JOIN (SELECT * FROM worker_quality WHERE method = 'dawid-skene' AND accuracy IS NOT NULL) model
  ON a.job_name = model.job_name AND a.worker_id = model.worker_id
WHERE a.seconds IS NOT NULL
