-- Spark cannot group by a map: the chunks are joined by the attributes as text, and all their maps are equal.
SELECT
  job_name,
  modality,
  task_type,
  label,
  any_value(attributes) AS attributes,
  created_on,
  sum(annotation_count) AS annotation_count,
  sum(frame_count) AS frame_count,
  sum(instance_count) AS instance_count
FROM parsed_label_tally
GROUP BY job_name, modality, task_type, label, values_key, created_on
