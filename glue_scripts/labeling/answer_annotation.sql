-- Labels of workers' answers. Those of one image or text lie in the answer itself, those of sequences in per-frame files
-- below the answer's folder; of a file that was copied the first place in key order stays, as of an answer.
SELECT
  a.answer_id,
  a.job_name,
  a.modality,
  a.task_type,
  a.object_id,
  a.worker_id,
  a.username,
  s.frame_no,
  s.frame,
  s.position,
  s.instance_id,
  s.instance_name,
  s.label,
  s.shape,
  s.left_px,
  s.top_px,
  s.width_px,
  s.height_px,
  s.geometry,
  s.attributes,
  d.source
FROM parsed_answer_annotation s
JOIN (
  SELECT min(place) AS document, answer_id, min(source) AS source FROM parsed_answer GROUP BY answer_id
  UNION ALL
  SELECT DISTINCT f.source AS document, p.answer_id, f.source
  FROM parsed_answer p
  JOIN (
    SELECT job_name, object_id, folder, frame, min(source) AS source
    FROM parsed_worker_frame
    GROUP BY job_name, object_id, folder, frame
  ) f ON p.job_name = f.job_name AND p.object_id = f.object_id AND p.folder = f.folder
) d ON s.document = d.document
JOIN answer a ON d.answer_id = a.answer_id
