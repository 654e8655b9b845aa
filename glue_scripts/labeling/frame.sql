-- The size of an image is the manifest's; where that tells none, what workers' answers say they saw.
SELECT
  f.job_name,
  f.modality,
  f.task_type,
  f.object_id,
  f.source_ref,
  f.frame_no,
  f.frame,
  coalesce(f.width_px, a.width_px) AS width_px,
  coalesce(f.height_px, a.height_px) AS height_px,
  f.label_count,
  f.attributes,
  f.created_at,
  f.source
FROM parsed_frame f
LEFT JOIN (
  SELECT job_name, object_id, max(width_px) AS width_px, max(height_px) AS height_px
  FROM parsed_answer
  WHERE width_px IS NOT NULL
  GROUP BY job_name, object_id
) a ON f.job_name = a.job_name AND f.object_id = a.object_id
