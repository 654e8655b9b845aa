SELECT
  job_name,
  modality,
  task_type,
  label_count,
  any_value(attributes) AS attributes,
  created_on,
  sum(frame_count) AS frame_count
FROM parsed_frame_tally
GROUP BY job_name, modality, task_type, label_count, values_key, created_on
