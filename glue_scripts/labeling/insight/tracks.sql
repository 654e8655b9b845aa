-- Tracked shapes of every tracking job, all frames of their sequences, the attributes that at least half of a class's
-- shapes have, and whose work each track is: of the only worker who answered the data object on the first level of the
-- chain, else of the only one whose answer has the instance. Lineage and numbering are those of levels.sql.
WITH lineage AS (
  SELECT
    j.job_name,
    j.annotation_count,
    coalesce(d.job_name, c.job_name, b.job_name, j.job_name) AS root_job
  FROM job j
  LEFT JOIN job b ON j.base_job = b.job_name AND b.job_name <> j.job_name
  LEFT JOIN job c ON b.base_job = c.job_name AND c.job_name <> j.job_name
  LEFT JOIN job d ON c.base_job = d.job_name AND d.job_name <> j.job_name
),
named AS (
  SELECT
    t.*,
    l.root_job,
    l.annotation_count AS job_annotation_count,
    CASE
      WHEN max(CASE WHEN t.source_ref IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY l.root_job) = 1 THEN t.object_id
      ELSE t.source_ref
    END AS place
  FROM task t
  JOIN lineage l ON t.job_name = l.job_name
  WHERE t.status = 'labeled' AND t.task_type LIKE '%tracking'
),
object AS (
  SELECT
    n.*,
    row_number() OVER (PARTITION BY job_name, place ORDER BY length(object_id), object_id) AS nth,
    CASE
      WHEN job_annotation_count < 50000 THEN ''
      WHEN job_annotation_count < 1000000 THEN substring(md5(object_id), 1, 1)
      WHEN job_annotation_count < 20000000 THEN substring(md5(object_id), 1, 2)
      ELSE substring(md5(object_id), 1, 3)
    END AS bucket
  FROM named n
),
expected AS (
  SELECT told.job_name, told.label, told.attribute
  FROM (
    SELECT a.job_name, a.label, a.attribute, sum(a.annotation_count) AS annotation_count
    FROM attribute_count a
    JOIN settings s ON a.attribute <> s.audit_attribute
    WHERE a.attribute <> '' AND a.value <> ''
    GROUP BY a.job_name, a.label, a.attribute
  ) told
  JOIN (
    SELECT job_name, label, sum(annotation_count) AS annotation_count
    FROM attribute_count
    WHERE attribute = ''
    GROUP BY job_name, label
  ) whole ON told.job_name = whole.job_name AND told.label = whole.label
  WHERE 2 * told.annotation_count >= whole.annotation_count
),
alone AS (
  SELECT job_name, object_id, min(username) AS worker
  FROM answer
  GROUP BY job_name, object_id
  HAVING count(DISTINCT worker_id) = 1
),
own AS (
  SELECT x.job_name, x.object_id, x.instance_id, min(x.username) AS worker
  FROM answer_annotation x
  JOIN task t ON x.job_name = t.job_name AND x.object_id = t.object_id
  WHERE t.worker_count > 1 AND x.instance_id IS NOT NULL
  GROUP BY x.job_name, x.object_id, x.instance_id
  HAVING count(DISTINCT x.worker_id) = 1
)
SELECT
  'label' AS kind,
  o.bucket,
  o.job_name,
  o.modality,
  o.task_type,
  o.object_id,
  o.source_ref,
  a.frame_no,
  a.frame,
  a.annotation_id AS row_id,
  a.instance_id,
  a.instance_name,
  a.label,
  a.left_px,
  a.top_px,
  a.width_px,
  a.height_px,
  a.attributes,
  CAST(NULL AS STRING) AS attribute,
  CAST(NULL AS STRING) AS worker
FROM object o
JOIN annotation a ON o.job_name = a.job_name AND o.object_id = a.object_id
WHERE a.instance_id IS NOT NULL
UNION ALL
SELECT
  'frame', o.bucket, o.job_name, NULL, NULL, o.object_id, NULL, f.frame_no, f.frame, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL
FROM object o
JOIN frame f ON o.job_name = f.job_name AND o.object_id = f.object_id
UNION ALL
SELECT
  'expected', b.bucket, e.job_name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, e.label, NULL, NULL, NULL,
  NULL, NULL, e.attribute, NULL
FROM (SELECT DISTINCT job_name, bucket FROM object) b
JOIN expected e ON b.job_name = e.job_name
UNION ALL
SELECT
  'maker', o.bucket, o.job_name, NULL, NULL, o.object_id, NULL, NULL, NULL, NULL, m.instance_id, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, m.worker
FROM object o
JOIN object r ON o.root_job = r.job_name AND o.place = r.place AND o.nth = r.nth
JOIN (
  SELECT job_name, object_id, CAST(NULL AS STRING) AS instance_id, worker FROM alone
  UNION ALL
  SELECT job_name, object_id, instance_id, worker FROM own
) m ON r.job_name = m.job_name AND r.object_id = m.object_id
