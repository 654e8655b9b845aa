-- The shapes of workers' answers, object by object (column compared), of objects with two answers or more, and once more
-- in chance sets of five answers to different objects. Of several answers of one worker to one object the latest counts.
-- An answer without shapes is one row with drawn = false. Compared are boxes, spans and, in tracking jobs, tracks: kind.
-- What is compared is put into buckets by a hash, enough of them that one holds some ten thousand shapes.
WITH kinds AS (
  SELECT
    job_name,
    CASE WHEN task_type = 'video-object-tracking' THEN 'track' ELSE shape END AS kind,
    shape,
    CASE
      WHEN count(*) < 50000 THEN 0
      WHEN count(*) < 1000000 THEN 1
      WHEN count(*) < 20000000 THEN 2
      ELSE 3
    END AS digits
  FROM answer_annotation
  WHERE shape IN ('box', 'span')
  GROUP BY job_name, task_type, shape
),
latest AS (
  SELECT
    a.job_name,
    a.modality,
    a.task_type,
    k.kind,
    k.shape,
    k.digits,
    a.object_id,
    a.username AS worker,
    a.answer_id,
    count(*) OVER (PARTITION BY a.job_name, a.object_id, k.shape) AS answer_count,
    max(a.submitted_at) OVER (PARTITION BY a.job_name, a.object_id, k.shape) AS last_at
  FROM (
    SELECT
      *,
      row_number() OVER (
        PARTITION BY job_name, object_id, username ORDER BY submitted_at DESC NULLS LAST, iteration DESC, answer_id
      ) AS place
    FROM answer
    WHERE label_count IS NOT NULL
  ) a
  JOIN kinds k ON a.job_name = k.job_name
  WHERE a.place = 1
),
shared AS (
  SELECT * FROM latest WHERE answer_count > 1
),
-- One answer of each of 500 objects, five at a time a set: answer_id is a hash, so its order is as good as chance.
drawn_by_chance AS (
  SELECT
    *,
    row_number() OVER (PARTITION BY job_name, kind ORDER BY answer_id) AS draw
  FROM (
    SELECT
      *,
      row_number() OVER (PARTITION BY job_name, object_id, kind ORDER BY answer_id) AS place
    FROM shared
    WHERE kind = 'box'
  ) answers
  WHERE place = 1
),
compared AS (
  SELECT
    job_name, modality, task_type, kind, shape, digits, object_id, worker, answer_id, last_at,
    CAST(NULL AS STRING) AS chance_set,
    object_id AS compared
  FROM shared
  UNION ALL
  SELECT
    job_name, modality, task_type, kind, shape, digits, object_id, worker, answer_id, last_at,
    CAST(CAST(floor((draw - 1) / 5) AS INT) AS STRING) AS chance_set,
    concat('chance ', CAST(CAST(floor((draw - 1) / 5) AS INT) AS STRING)) AS compared
  FROM drawn_by_chance
  WHERE draw <= 500
)
SELECT
  c.job_name,
  c.modality,
  c.task_type,
  c.kind,
  substring(md5(c.compared), 1, c.digits) AS bucket,
  c.compared,
  c.object_id,
  c.chance_set,
  c.answer_id,
  c.worker,
  CAST(c.last_at AS DATE) AS day,
  s.answer_id IS NOT NULL AS drawn,
  s.frame_no,
  s.frame,
  s.position,
  coalesce(s.instance_id, s.instance_name) AS instance,
  s.label,
  s.left_px,
  s.top_px,
  s.width_px,
  s.height_px,
  CAST(get_json_object(s.geometry, '$.startOffset') AS DOUBLE) AS start_offset,
  CAST(get_json_object(s.geometry, '$.endOffset') AS DOUBLE) AS end_offset
FROM compared c
LEFT JOIN answer_annotation s ON c.answer_id = s.answer_id AND c.shape = s.shape
