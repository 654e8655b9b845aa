-- Tracks of one sequence on two levels: as the job before left them, and as this job did; the worker is the one who
-- answered. Only where each level has one answer (several are compared with each other), and only frames that both
-- levels hold: an audit may see a part of a sequence. Frames are known by their file, the number is that of the base.
-- Jobs of other shapes than boxes have no tracks to compare.
WITH one_answer AS (
  SELECT job_name, object_id, max(username) AS worker, max(submitted_at) AS last_at
  FROM answer
  GROUP BY job_name, object_id
  HAVING count(DISTINCT username) = 1
),
sequence AS (
  SELECT t.job_name, t.modality, t.task_type, min(t.object_id) AS object_id, t.source_ref
  FROM task t
  WHERE t.task_type = 'video-object-tracking' AND t.status = 'labeled' AND t.source_ref IS NOT NULL
  GROUP BY t.job_name, t.modality, t.task_type, t.source_ref
),
both_levels AS (
  SELECT
    s.job_name,
    s.modality,
    s.task_type,
    s.object_id,
    b.job_name AS base_job,
    b.object_id AS base_object,
    a.worker,
    o.worker AS base_worker,
    a.last_at
  FROM sequence s
  JOIN job j ON s.job_name = j.job_name
  JOIN sequence b ON j.base_job = b.job_name AND s.source_ref = b.source_ref
  JOIN (SELECT DISTINCT job_name FROM annotation WHERE shape = 'box') d ON b.job_name = d.job_name
  JOIN one_answer a ON s.job_name = a.job_name AND s.object_id = a.object_id
  JOIN one_answer o ON b.job_name = o.job_name AND b.object_id = o.object_id
),
frames AS (
  SELECT job_name, object_id, coalesce(frame, CAST(frame_no AS STRING)) AS name, min(frame_no) AS frame_no
  FROM frame
  GROUP BY job_name, object_id, coalesce(frame, CAST(frame_no AS STRING))
),
-- Grouped, though each row is there once: what an engine cannot take apart it cannot join by the name alone, and
-- every sequence has its frame 1.
audited AS (
  SELECT l.job_name, l.object_id, l.base_job, l.base_object, f.name
  FROM both_levels l
  JOIN frames f ON l.job_name = f.job_name AND l.object_id = f.object_id
  GROUP BY l.job_name, l.object_id, l.base_job, l.base_object, f.name
),
seen AS (
  SELECT l.job_name, l.object_id, l.name, g.frame_no
  FROM audited l
  JOIN frames g ON l.base_job = g.job_name AND l.base_object = g.object_id AND l.name = g.name
),
sides AS (
  SELECT *, 'after' AS answer_id, worker AS answerer, job_name AS of_job, object_id AS of_object FROM both_levels
  UNION ALL
  SELECT *, 'before' AS answer_id, base_worker AS answerer, base_job AS of_job, base_object AS of_object
  FROM both_levels
),
boxes AS (
  SELECT
    job_name AS of_job, object_id AS of_object, coalesce(frame, CAST(frame_no AS STRING)) AS name, annotation_id,
    coalesce(instance_id, instance_name) AS instance, label, left_px, top_px, width_px, height_px
  FROM annotation
  WHERE shape = 'box'
),
places AS (
  SELECT l.job_name, l.object_id, l.answer_id, l.of_job, l.of_object, s.name, min(s.frame_no) AS frame_no
  FROM sides l
  JOIN seen s ON l.job_name = s.job_name AND l.object_id = s.object_id
  GROUP BY l.job_name, l.object_id, l.answer_id, l.of_job, l.of_object, s.name
),
drawn AS (
  SELECT p.job_name, p.object_id, p.answer_id, p.frame_no, b.*
  FROM places p
  JOIN boxes b ON p.of_job = b.of_job AND p.of_object = b.of_object AND p.name = b.name
)
SELECT
  l.job_name,
  l.modality,
  l.task_type,
  'level' AS kind,
  l.object_id AS bucket,
  l.object_id AS compared,
  l.object_id,
  CAST(NULL AS STRING) AS chance_set,
  l.answer_id,
  l.answerer AS worker,
  CAST(l.last_at AS DATE) AS day,
  d.answer_id IS NOT NULL AS drawn,
  d.frame_no,
  d.name AS frame,
  d.annotation_id AS position,
  d.instance,
  d.label,
  d.left_px,
  d.top_px,
  d.width_px,
  d.height_px,
  CAST(NULL AS DOUBLE) AS start_offset,
  CAST(NULL AS DOUBLE) AS end_offset
FROM sides l
LEFT JOIN drawn d ON l.job_name = d.job_name AND l.object_id = d.object_id AND l.answer_id = d.answer_id
