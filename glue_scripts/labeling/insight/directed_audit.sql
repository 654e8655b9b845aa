-- Findings of tracks by their place in the sequence, and the frames around them with their labels. That an attribute is
-- missing in a whole run one frame shows.
WITH doubtful AS (
  SELECT DISTINCT job_name, object_id FROM track_issue
),
placed AS (
  SELECT
    job_name,
    object_id,
    frame_no,
    frame,
    row_number() OVER (PARTITION BY job_name, object_id ORDER BY frame_no) - 1 AS place,
    count(*) OVER (PARTITION BY job_name, object_id) AS sequence_frame_count
  FROM (
    SELECT f.job_name, f.object_id, f.frame_no, max(f.frame) AS frame
    FROM frame f
    JOIN doubtful d ON f.job_name = d.job_name AND f.object_id = d.object_id
    GROUP BY f.job_name, f.object_id, f.frame_no
  ) frames
),
hit AS (
  SELECT
    i.job_name,
    i.object_id,
    i.issue,
    p.place,
    CASE WHEN i.issue = 'missing_attribute' THEN p.place ELSE q.place END AS last_place
  FROM track_issue i
  JOIN placed p ON i.job_name = p.job_name AND i.object_id = p.object_id AND i.frame_no = p.frame_no
  JOIN placed q ON i.job_name = q.job_name AND i.object_id = q.object_id AND i.last_frame_no = q.frame_no
),
shown AS (
  SELECT DISTINCT p.job_name, p.object_id, p.frame_no, p.frame, p.place, p.sequence_frame_count
  FROM placed p
  JOIN hit h ON p.job_name = h.job_name AND p.object_id = h.object_id
  WHERE p.place BETWEEN h.place - 3 AND h.last_place + 3
)
SELECT
  'frame' AS kind,
  s.job_name,
  t.modality,
  t.task_type,
  s.object_id,
  t.source_ref,
  t.created_at,
  j.label_attribute,
  settings.input_path,
  settings.output_path,
  s.frame_no,
  s.frame,
  CAST(s.place AS INT) AS place,
  CAST(NULL AS INT) AS last_place,
  s.sequence_frame_count,
  CAST(NULL AS STRING) AS issue,
  CAST(NULL AS STRING) AS row_id,
  CAST(NULL AS STRING) AS instance_id,
  CAST(NULL AS STRING) AS instance_name,
  CAST(NULL AS STRING) AS label,
  CAST(NULL AS STRING) AS shape,
  CAST(NULL AS DOUBLE) AS left_px,
  CAST(NULL AS DOUBLE) AS top_px,
  CAST(NULL AS DOUBLE) AS width_px,
  CAST(NULL AS DOUBLE) AS height_px,
  CAST(NULL AS STRING) AS geometry,
  CAST(NULL AS MAP<STRING, STRING>) AS attributes
FROM shown s
JOIN task t ON s.job_name = t.job_name AND s.object_id = t.object_id
JOIN job j ON s.job_name = j.job_name
JOIN settings ON true
UNION ALL
SELECT
  'issue', job_name, NULL, NULL, object_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, CAST(place AS INT),
  CAST(last_place AS INT), NULL, issue, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM hit
UNION ALL
SELECT
  'label', a.job_name, NULL, NULL, a.object_id, NULL, NULL, NULL, NULL, NULL, a.frame_no, a.frame, NULL, NULL, NULL,
  NULL, a.annotation_id, a.instance_id, a.instance_name, a.label, a.shape, a.left_px, a.top_px, a.width_px, a.height_px,
  a.geometry, a.attributes
FROM annotation a
JOIN shown s ON a.job_name = s.job_name AND a.object_id = s.object_id AND a.frame_no = s.frame_no
