SELECT
  job_name,
  modality,
  task_type,
  object_id,
  source_ref,
  frame_no,
  frame,
  label_count,
  attributes,
  created_at,
  source
FROM parsed_frame
