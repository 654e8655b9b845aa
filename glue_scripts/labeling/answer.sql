-- Every answer once. A worker response that was written again under another name holds the same answers: they have the
-- same id, and the first place in key order stays. Labels of video and point cloud answers lie in per-frame files.
-- A worker whose identity one answer tells is the same person in all of them.
SELECT
  a.answer_id,
  a.job_name,
  j.modality,
  j.task_type,
  a.object_id,
  a.iteration,
  a.worker_id,
  coalesce(a.sub, w.sub) AS sub,
  coalesce(u.username, w.sub, a.worker_id) AS username,
  CASE WHEN a.sub IS NULL THEN coalesce(w.provider, a.provider) ELSE a.provider END AS provider,
  CASE WHEN a.sub IS NULL THEN coalesce(w.issuer, a.issuer) ELSE a.issuer END AS issuer,
  a.accepted_at,
  a.submitted_at,
  a.seconds,
  coalesce(a.label_count, f.label_count) AS label_count,
  a.frame_count,
  a.label,
  a.content,
  a.source
FROM parsed_answer a
JOIN (SELECT answer_id, min(place) AS place FROM parsed_answer GROUP BY answer_id) kept
  ON a.answer_id = kept.answer_id AND a.place = kept.place
JOIN jobs j ON a.job_name = j.job_name
LEFT JOIN (
  SELECT p.worker_id, p.sub, max(p.provider) AS provider, max(p.issuer) AS issuer
  FROM parsed_answer p
  JOIN (SELECT worker_id, max(sub) AS sub FROM parsed_answer GROUP BY worker_id) told
    ON p.worker_id = told.worker_id AND p.sub = told.sub
  GROUP BY p.worker_id, p.sub
) w ON a.worker_id = w.worker_id
LEFT JOIN users u ON w.sub = u.sub
LEFT JOIN (
  SELECT job_name, object_id, folder, sum(label_count) AS label_count
  FROM (SELECT DISTINCT job_name, object_id, folder, frame, label_count FROM parsed_worker_frame) frames
  GROUP BY job_name, object_id, folder
) f ON a.job_name = f.job_name AND a.object_id = f.object_id AND a.folder = f.folder
