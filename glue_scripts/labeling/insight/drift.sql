-- Labels counted by day and batch (consolidated labels) and by worker (the answers), with sums over clusters: the data
-- objects, or a worker's answers. A tracked object is one label, with its first class and values and its mean area.
-- Later levels repeat the labels of the job before, so that only their further attributes count, such as a verdict. Each
-- job comes with its classes: only jobs that have one in common are compared.
WITH consolidated AS (
  SELECT
    a.task_type,
    a.job_name,
    a.job_name || ':' || a.object_id AS cluster,
    CAST(to_date(min(a.created_at)) AS STRING) AS day,
    CAST(NULL AS STRING) AS worker,
    min_by(a.label, a.frame_no) AS label,
    min_by(a.attributes, a.frame_no) AS attributes,
    avg(CASE WHEN a.shape = 'box' AND a.width_px > 0 AND a.height_px > 0 THEN ln(a.width_px * a.height_px) END) AS area
  FROM annotation a
  GROUP BY a.task_type, a.job_name, a.object_id, coalesce(a.instance_id, a.annotation_id)
),
given AS (
  SELECT
    a.task_type,
    a.job_name,
    a.answer_id AS cluster,
    CAST(NULL AS STRING) AS day,
    any_value(a.username) AS worker,
    min_by(a.label, coalesce(a.frame_no, 0)) AS label,
    min_by(a.attributes, coalesce(a.frame_no, 0)) AS attributes,
    avg(CASE WHEN a.shape = 'box' AND a.width_px > 0 AND a.height_px > 0 THEN ln(a.width_px * a.height_px) END) AS area
  FROM answer_annotation a
  GROUP BY
    a.task_type,
    a.job_name,
    a.answer_id,
    coalesce(a.instance_id, concat(coalesce(a.frame, ''), ':', CAST(a.position AS STRING)))
),
unit AS (
  SELECT u.*, j.batch, j.base_job
  FROM (SELECT * FROM consolidated UNION ALL SELECT * FROM given) u
  JOIN job j ON u.job_name = j.job_name
),
decile AS (
  SELECT
    task_type,
    percentile(area, 0.1) AS d1,
    percentile(area, 0.2) AS d2,
    percentile(area, 0.3) AS d3,
    percentile(area, 0.4) AS d4,
    percentile(area, 0.5) AS d5,
    percentile(area, 0.6) AS d6,
    percentile(area, 0.7) AS d7,
    percentile(area, 0.8) AS d8,
    percentile(area, 0.9) AS d9
  FROM (
    SELECT task_type, round(CAST(area AS DOUBLE), 2) AS area
    FROM unit
    WHERE area IS NOT NULL AND day IS NOT NULL AND base_job IS NULL
  ) areas
  GROUP BY task_type
),
sized AS (
  SELECT
    u.*,
    CASE
      WHEN u.area <= d.d1 THEN d.d1
      WHEN u.area <= d.d2 THEN d.d2
      WHEN u.area <= d.d3 THEN d.d3
      WHEN u.area <= d.d4 THEN d.d4
      WHEN u.area <= d.d5 THEN d.d5
      WHEN u.area <= d.d6 THEN d.d6
      WHEN u.area <= d.d7 THEN d.d7
      WHEN u.area <= d.d8 THEN d.d8
      WHEN u.area <= d.d9 THEN d.d9
    END AS upto,
    d.d9 AS beyond
  FROM unit u
  JOIN decile d ON u.task_type = d.task_type
  WHERE u.area IS NOT NULL AND u.base_job IS NULL
),
attribute_of_base AS (
  SELECT DISTINCT job_name, attribute
  FROM (
    SELECT job_name, attribute, value
    FROM annotation
    LATERAL VIEW explode(attributes) pair AS attribute, value
  ) pairs
),
class AS (
  SELECT job_name, concat_ws('\n', sort_array(collect_set(label))) AS classes
  FROM unit
  GROUP BY job_name
),
pair AS (
  SELECT task_type, job_name, base_job, batch, cluster, day, worker, attribute, value
  FROM unit
  LATERAL VIEW explode(attributes) pair AS attribute, value
),
distributed AS (
  SELECT task_type, job_name, batch, cluster, day, worker, 'label' AS subject, label AS value
  FROM unit
  WHERE label IS NOT NULL AND base_job IS NULL
  UNION ALL
  SELECT
    task_type,
    job_name,
    batch,
    cluster,
    day,
    worker,
    'box_size' AS subject,
    CASE
      WHEN upto IS NULL THEN concat('above ', CAST(CAST(exp(beyond) AS BIGINT) AS STRING), ' px²')
      ELSE concat('to ', CAST(CAST(exp(upto) AS BIGINT) AS STRING), ' px²')
    END AS value
  FROM sized
  UNION ALL
  SELECT p.task_type, p.job_name, p.batch, p.cluster, p.day, p.worker, concat('attribute.', p.attribute) AS subject, p.value
  FROM pair p
  LEFT JOIN attribute_of_base b
    ON p.base_job = b.job_name AND p.attribute = b.attribute
  WHERE p.value IS NOT NULL AND b.job_name IS NULL
),
-- An attribute that is free text has a value for every label: beyond the hundred most frequent they are one.
frequent AS (
  SELECT task_type, subject, value, row_number() OVER (
    PARTITION BY task_type, subject ORDER BY label_count DESC, value
  ) AS place
  FROM (
    SELECT task_type, subject, value, count(*) AS label_count
    FROM distributed
    GROUP BY task_type, subject, value
  ) counts
),
counted AS (
  SELECT
    d.task_type,
    d.subject,
    d.job_name,
    d.batch,
    d.cluster,
    d.day,
    d.worker,
    CASE WHEN q.place <= 100 THEN d.value ELSE '(other)' END AS value,
    count(*) AS label_count
  FROM distributed d
  JOIN frequent q
    ON d.task_type = q.task_type AND d.subject = q.subject AND d.value = q.value
  GROUP BY
    d.task_type,
    d.subject,
    d.job_name,
    d.batch,
    d.cluster,
    d.day,
    d.worker,
    CASE WHEN q.place <= 100 THEN d.value ELSE '(other)' END
),
scoped AS (
  SELECT task_type, subject, job_name, 'day' AS scope, day AS item, cluster, value, sum(label_count) AS label_count
  FROM counted
  WHERE day IS NOT NULL
  GROUP BY task_type, subject, job_name, day, cluster, value
  UNION ALL
  SELECT task_type, subject, job_name, 'batch' AS scope, batch AS item, cluster, value, sum(label_count) AS label_count
  FROM counted
  WHERE worker IS NULL AND batch IS NOT NULL
  GROUP BY task_type, subject, job_name, batch, cluster, value
  UNION ALL
  SELECT task_type, subject, job_name, 'worker' AS scope, worker AS item, cluster, value, sum(label_count) AS label_count
  FROM counted
  WHERE worker IS NOT NULL
  GROUP BY task_type, subject, job_name, worker, cluster, value
),
whole AS (
  SELECT
    *,
    sum(label_count) OVER (PARTITION BY task_type, subject, scope, item, cluster) AS cluster_size
  FROM scoped
)
SELECT
  v.task_type,
  v.subject,
  v.job_name,
  k.classes,
  v.scope,
  v.item,
  v.value,
  v.label_count,
  v.squares,
  v.crossed,
  c.cluster_count,
  c.cluster_squares
FROM (
  SELECT
    task_type,
    subject,
    job_name,
    scope,
    item,
    value,
    CAST(sum(label_count) AS DOUBLE) AS label_count,
    sum(CAST(label_count AS DOUBLE) * label_count) AS squares,
    sum(CAST(label_count AS DOUBLE) * cluster_size) AS crossed
  FROM whole
  GROUP BY task_type, subject, job_name, scope, item, value
) v
JOIN (
  SELECT
    task_type,
    subject,
    job_name,
    scope,
    item,
    CAST(count(*) AS DOUBLE) AS cluster_count,
    sum(CAST(cluster_size AS DOUBLE) * cluster_size) AS cluster_squares
  FROM (SELECT DISTINCT task_type, subject, job_name, scope, item, cluster, cluster_size FROM whole) sizes
  GROUP BY task_type, subject, job_name, scope, item
) c
  ON
    v.task_type = c.task_type
    AND v.subject = c.subject
    AND v.job_name = c.job_name
    AND v.scope = c.scope
    AND v.item = c.item
LEFT JOIN class k ON v.job_name = k.job_name
