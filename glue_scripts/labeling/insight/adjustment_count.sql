SELECT
  job_name,
  modality,
  task_type,
  base_job,
  worker,
  auditor,
  label,
  change,
  iou_from,
  created_on,
  sum(label_count) AS label_count
FROM adjustment_part
GROUP BY job_name, modality, task_type, base_job, worker, auditor, label, change, iou_from, created_on
