SELECT
  job_name,
  modality,
  task_type,
  label,
  attribute,
  value,
  created_on,
  sum(annotation_count) AS annotation_count,
  sum(frame_count) AS frame_count,
  sum(instance_count) AS instance_count
FROM parsed_attribute_tally
GROUP BY job_name, modality, task_type, label, attribute, value, created_on
