SELECT
  job_name,
  modality,
  task_type,
  audit_job,
  worker,
  label,
  created_on,
  sum(label_count) AS label_count,
  sum(accepted_count) AS accepted_count
FROM first_pass_part
GROUP BY job_name, modality, task_type, audit_job, worker, label, created_on
