-- The data objects that more than one job of a chain labeled, or that carry verdicts: their labels on every level, who
-- answered them, the frames that each level holds of a sequence, and the shapes of each answer where there are several.
-- A chain is a job, the jobs that audit or adjust its labels, and so on, four at most: its name is that of the first one.
-- A verification makes no labels: who follows it is given those of the job before it (`label_job`).
-- A job that follows none and that none follows has nothing to compare: the verdicts on its labels audit_count.sql sums
-- up, and here are only those of verifications and of several workers.
-- A data object is the same in two jobs where its source is; of one source listed twice the n-th with the n-th. Where a
-- job tells no sources, its object ids have to do. A window of a directed audit (`audits/{job}/{object}/{span}.json`) is
-- a part of the data object that it was cut from.
-- Data objects are put into buckets by a hash, enough of them that one holds some ten thousand labels.
WITH lineage AS (
  SELECT
    j.job_name,
    j.modality,
    j.task_type,
    b.job_name AS base_job,
    CASE
      WHEN coalesce(b.task_type, '') <> 'label-verification' THEN b.job_name
      WHEN coalesce(c.task_type, '') <> 'label-verification' THEN c.job_name
      ELSE d.job_name
    END AS label_job,
    coalesce(d.job_name, c.job_name, b.job_name, j.job_name) AS root_job
  FROM job j
  LEFT JOIN job b ON j.base_job = b.job_name AND b.job_name <> j.job_name
  LEFT JOIN job c ON b.base_job = c.job_name AND c.job_name <> j.job_name
  LEFT JOIN job d ON c.base_job = d.job_name AND d.job_name <> j.job_name
),
follower AS (
  SELECT job_name, base_job FROM lineage WHERE base_job IS NOT NULL
),
verdict AS (
  SELECT a.job_name
  FROM attribute_count a
  JOIN settings s ON a.attribute = s.audit_attribute
  GROUP BY a.job_name
  UNION
  SELECT job_name FROM job WHERE task_type = 'label-verification'
),
link AS (
  SELECT
    l.job_name,
    l.label_job,
    l.root_job,
    max(CASE WHEN v.job_name IS NULL THEN 0 ELSE 1 END) AS judges,
    max(CASE WHEN l.base_job IS NULL AND f.base_job IS NULL THEN 1 ELSE 0 END) AS alone
  FROM lineage l
  LEFT JOIN follower f ON l.job_name = f.base_job
  LEFT JOIN verdict v ON l.job_name = v.job_name
  GROUP BY l.job_name, l.label_job, l.root_job
),
named AS (
  SELECT
    t.*,
    l.label_job,
    l.root_job,
    l.judges,
    regexp_extract(t.source_ref, '/audits/([^/]+/.+)/[^/]+[.]json$', 1) AS cut_from,
    CASE
      WHEN max(CASE WHEN t.source_ref IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY l.root_job) = 1 THEN t.object_id
      ELSE t.source_ref
    END AS place
  FROM task t
  JOIN link l ON t.job_name = l.job_name
  WHERE
    t.status = 'labeled'
    AND (l.alone = 0 OR l.judges = 1 AND (t.worker_count > 1 OR t.task_type = 'label-verification'))
),
numbered AS (
  SELECT
    n.*,
    concat(job_name, '/', object_id) AS own_name,
    concat(
      place,
      '#',
      CAST(row_number() OVER (PARTITION BY job_name, place ORDER BY length(object_id), object_id) AS STRING)
    ) AS own_object
  FROM named n
),
placed AS (
  SELECT n.*, coalesce(w.own_object, n.own_object) AS data_object
  FROM numbered n
  LEFT JOIN (SELECT root_job, own_name, own_object FROM numbered) w
    ON n.root_job = w.root_job AND n.cut_from = w.own_name
),
size AS (
  SELECT root_job, sum(annotation_count) AS annotation_count
  FROM placed
  GROUP BY root_job
),
chosen AS (
  SELECT
    n.root_job,
    n.data_object,
    max(n.frame_count) AS most_frames,
    CASE
      WHEN max(s.annotation_count) < 50000 THEN ''
      WHEN max(s.annotation_count) < 1000000 THEN substring(md5(n.data_object), 1, 1)
      WHEN max(s.annotation_count) < 20000000 THEN substring(md5(n.data_object), 1, 2)
      ELSE substring(md5(n.data_object), 1, 3)
    END AS bucket
  FROM placed n
  JOIN size s ON n.root_job = s.root_job
  GROUP BY n.root_job, n.data_object
  HAVING count(DISTINCT n.job_name) > 1 OR max(n.judges) = 1
),
object AS (
  SELECT n.*, c.bucket, c.most_frames
  FROM placed n
  JOIN chosen c ON n.root_job = c.root_job AND n.data_object = c.data_object
),
-- What the labels of a job tell: attributes with so many values are remarks, of which nobody wants a pass rate.
known AS (
  SELECT job_name, array_join(known, '|') AS known, array_join(counted, '|') AS counted
  FROM (
    SELECT
      job_name,
      sort_array(collect_set(attribute)) AS known,
      sort_array(collect_set(CASE WHEN value_count <= 50 THEN attribute END)) AS counted
    FROM (
      SELECT a.job_name, a.attribute, count(DISTINCT a.value) AS value_count
      FROM attribute_count a
      JOIN settings s ON a.attribute <> s.audit_attribute
      WHERE a.attribute <> ''
      GROUP BY a.job_name, a.attribute
    ) used
    GROUP BY job_name
  ) collected
)
SELECT
  'object' AS kind,
  o.root_job,
  o.bucket,
  o.data_object,
  o.job_name,
  o.modality,
  o.task_type,
  o.label_job AS base_job,
  o.object_id,
  o.source_ref,
  CAST(o.created_at AS DATE) AS created_on,
  o.adjusted,
  o.seconds,
  k.known,
  k.counted,
  s.audit_attribute,
  CAST(NULL AS STRING) AS worker_id,
  CAST(NULL AS STRING) AS sub,
  CAST(NULL AS STRING) AS username,
  CAST(NULL AS INT) AS frame_no,
  CAST(NULL AS STRING) AS frame,
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
FROM object o
JOIN settings s ON true
LEFT JOIN known k ON o.job_name = k.job_name
UNION ALL
SELECT
  'answerer', o.root_job, o.bucket, o.data_object, o.job_name, NULL, NULL, NULL, o.object_id, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, a.worker_id, a.sub, a.username, NULL, NULL, a.answer_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL
FROM object o
JOIN answer a ON o.job_name = a.job_name AND o.object_id = a.object_id
UNION ALL
SELECT
  'label', o.root_job, o.bucket, o.data_object, o.job_name, NULL, NULL, NULL, a.object_id, a.source_ref, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.frame_no, a.frame, a.annotation_id, a.instance_id, a.instance_name,
  a.label, a.shape, a.left_px, a.top_px, a.width_px, a.height_px, a.geometry, a.attributes
FROM object o
JOIN annotation a ON o.job_name = a.job_name AND o.object_id = a.object_id
UNION ALL
SELECT
  'frame', o.root_job, o.bucket, o.data_object, o.job_name, NULL, NULL, NULL, o.object_id, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, f.frame_no, f.frame, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM object o
JOIN frame f ON o.job_name = f.job_name AND o.object_id = f.object_id
WHERE o.most_frames > 1
UNION ALL
-- A worker's shapes matter where several answered. Of a worker who answered twice the later answer comes last.
SELECT
  'answer', o.root_job, o.bucket, o.data_object, o.job_name, NULL, NULL, NULL, o.object_id, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, x.worker_id, w.sub, x.username, x.frame_no, x.frame,
  concat(CAST(coalesce(unix_micros(w.submitted_at), 0) AS STRING), '-', x.answer_id, '-', CAST(x.position AS STRING)),
  x.instance_id, x.instance_name, x.label, x.shape, x.left_px, x.top_px, x.width_px, x.height_px, x.geometry,
  x.attributes
FROM object o
JOIN answer_annotation x ON o.job_name = x.job_name AND o.object_id = x.object_id
JOIN answer w ON x.answer_id = w.answer_id
WHERE o.worker_count > 1
