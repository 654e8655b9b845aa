SELECT
  job_name,
  modality,
  task_type,
  audited_job,
  worker,
  auditor,
  label,
  attribute,
  value,
  created_on,
  sum(audited_count) AS audited_count,
  sum(passed_count) AS passed_count,
  sum(self_audited_count) AS self_audited_count,
  sum(double_count) AS double_count,
  sum(double_agreed_count) AS double_agreed_count
FROM audit_part
GROUP BY job_name, modality, task_type, audited_job, worker, auditor, label, attribute, value, created_on
