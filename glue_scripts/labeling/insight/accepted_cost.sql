-- Cost by accepted label of each batch. A label is accepted if it is in the output of the batch's last level that holds its
-- frame and nobody failed it there: neither by the audit attribute nor by a verification of the data object. The words
-- that pass are those of `audits.PASSED`. Lineage, data objects and windows of directed audits are those of levels.sql;
-- a job that follows none and that none follows has nothing to look up, and its sums are those of attribute_count.
WITH lineage AS (
  SELECT
    j.job_name,
    j.batch,
    j.task_type,
    b.job_name AS base_job,
    CASE
      WHEN coalesce(b.task_type, '') <> 'label-verification' THEN b.job_name
      WHEN coalesce(c.task_type, '') <> 'label-verification' THEN c.job_name
      ELSE d.job_name
    END AS label_job,
    coalesce(d.job_name, c.job_name, b.job_name, j.job_name) AS root_job,
    CASE
      WHEN d.job_name IS NOT NULL THEN 3
      WHEN c.job_name IS NOT NULL THEN 2
      WHEN b.job_name IS NOT NULL THEN 1
      ELSE 0
    END AS depth
  FROM job j
  LEFT JOIN job b ON j.base_job = b.job_name AND b.job_name <> j.job_name
  LEFT JOIN job c ON b.base_job = c.job_name AND c.job_name <> j.job_name
  LEFT JOIN job d ON c.base_job = d.job_name AND d.job_name <> j.job_name
),
follower AS (
  SELECT DISTINCT base_job AS job_name FROM lineage WHERE base_job IS NOT NULL
),
link AS (
  SELECT
    l.*,
    CASE WHEN l.base_job IS NULL AND f.job_name IS NULL THEN 1 ELSE 0 END AS alone,
    -- Labels are new to a batch where they were not handed to it by a job of its own.
    CASE WHEN p.job_name IS NULL THEN 1 ELSE 0 END AS first_level
  FROM lineage l
  LEFT JOIN follower f ON l.job_name = f.job_name
  LEFT JOIN job p ON l.label_job = p.job_name AND l.batch = p.batch
),
named AS (
  SELECT
    t.job_name,
    t.object_id,
    t.frame_count,
    t.created_at,
    l.batch,
    l.task_type,
    l.label_job,
    l.root_job,
    l.depth,
    l.first_level,
    regexp_extract(t.source_ref, '/audits/([^/]+/.+)/[^/]+[.]json$', 1) AS cut_from,
    CASE
      WHEN max(CASE WHEN t.source_ref IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY l.root_job) = 1 THEN t.object_id
      ELSE t.source_ref
    END AS place
  FROM task t
  JOIN link l ON t.job_name = l.job_name
  WHERE t.status = 'labeled' AND l.alone = 0
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
-- The later a level, the higher its rank: of two that follow one job, the one that was done later.
object AS (
  SELECT
    p.*,
    max(frame_count) OVER (PARTITION BY batch, root_job, data_object) AS most_frames,
    row_number() OVER (
      PARTITION BY batch, root_job, data_object
      ORDER BY depth, created_at, job_name, length(object_id), object_id
    ) AS level_rank
  FROM placed p
  WHERE task_type <> 'label-verification'
),
-- Grouped, so that no engine joins frames by their name alone: every sequence has its frame 1.
held AS (
  SELECT o.batch, o.root_job, o.data_object, o.level_rank, coalesce(f.frame, CAST(f.frame_no AS STRING)) AS name
  FROM object o
  JOIN frame f ON o.job_name = f.job_name AND o.object_id = f.object_id
  WHERE o.most_frames > 1
  GROUP BY o.batch, o.root_job, o.data_object, o.level_rank, coalesce(f.frame, CAST(f.frame_no AS STRING))
),
last_frame AS (
  SELECT batch, root_job, data_object, name, max(level_rank) AS last_rank
  FROM held
  GROUP BY batch, root_job, data_object, name
),
-- Of an image, or where a level tells no frames, it holds the whole data object.
last_whole AS (
  SELECT o.batch, o.root_job, o.data_object, max(o.level_rank) AS last_rank
  FROM object o
  LEFT JOIN (SELECT DISTINCT batch, root_job, data_object, level_rank FROM held) h
    ON
      o.batch = h.batch
      AND o.root_job = h.root_job
      AND o.data_object = h.data_object
      AND o.level_rank = h.level_rank
  WHERE h.level_rank IS NULL
  GROUP BY o.batch, o.root_job, o.data_object
),
turned_down AS (
  SELECT DISTINCT p.label_job AS job_name, p.root_job, p.data_object
  FROM placed p
  JOIN annotation a ON p.job_name = a.job_name AND p.object_id = a.object_id
  WHERE
    p.task_type = 'label-verification'
    AND a.shape = 'verdict'
    AND lower(trim(a.label)) NOT IN ('pass', 'good', 'correct', 'yes')
),
label AS (
  SELECT
    o.batch,
    o.root_job,
    o.data_object,
    o.job_name,
    o.level_rank,
    o.first_level,
    CASE WHEN o.most_frames > 1 THEN coalesce(a.frame, CAST(a.frame_no AS STRING)) END AS name,
    count(*) AS label_count,
    sum(CASE
      WHEN
        element_at(a.attributes, s.audit_attribute) <> ''
        AND lower(trim(element_at(a.attributes, s.audit_attribute))) NOT IN ('pass', 'good', 'correct', 'yes')
        THEN 0
      ELSE 1
    END) AS passed_count
  FROM object o
  JOIN annotation a ON o.job_name = a.job_name AND o.object_id = a.object_id
  CROSS JOIN settings s
  WHERE a.shape <> 'verdict'
  GROUP BY
    o.batch, o.root_job, o.data_object, o.job_name, o.level_rank, o.first_level,
    CASE WHEN o.most_frames > 1 THEN coalesce(a.frame, CAST(a.frame_no AS STRING)) END
),
part AS (
  SELECT
    l.batch,
    CASE WHEN l.first_level = 1 THEN l.label_count ELSE 0 END AS label_count,
    CASE
      WHEN d.job_name IS NULL AND l.level_rank >= coalesce(f.last_rank, 0) AND l.level_rank >= coalesce(w.last_rank, 0)
        THEN l.passed_count
      ELSE 0
    END AS accepted_count
  FROM label l
  LEFT JOIN last_frame f
    ON l.batch = f.batch AND l.root_job = f.root_job AND l.data_object = f.data_object AND l.name = f.name
  LEFT JOIN last_whole w ON l.batch = w.batch AND l.root_job = w.root_job AND l.data_object = w.data_object
  LEFT JOIN turned_down d
    ON l.job_name = d.job_name AND l.root_job = d.root_job AND l.data_object = d.data_object
  UNION ALL
  SELECT
    l.batch,
    CASE WHEN a.attribute = '' THEN a.annotation_count ELSE 0 END,
    CASE
      WHEN a.attribute = '' THEN a.annotation_count
      WHEN
        a.attribute = s.audit_attribute
        AND a.value <> ''
        AND lower(trim(a.value)) NOT IN ('pass', 'good', 'correct', 'yes')
        THEN -a.annotation_count
      ELSE 0
    END
  FROM attribute_count a
  JOIN link l ON a.job_name = l.job_name
  CROSS JOIN settings s
  WHERE l.alone = 1 AND l.task_type <> 'label-verification'
),
counted AS (
  SELECT batch, sum(label_count) AS label_count, sum(accepted_count) AS accepted_count
  FROM part
  GROUP BY batch
),
-- A day's amount and the sum of all days until then: the first day that reaches the budget ends it.
daily AS (
  SELECT
    batch,
    spent_on,
    amount_usd,
    rework_usd,
    sum(amount_usd) OVER (
      PARTITION BY batch ORDER BY spent_on ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS until_then_usd
  FROM (
    SELECT
      batch,
      spent_on,
      CAST(sum(CAST(amount_usd AS DECIMAL(18, 6))) AS DOUBLE) AS amount_usd,
      CAST(sum(CAST(CASE WHEN rework THEN amount_usd ELSE 0 END AS DECIMAL(18, 6))) AS DOUBLE) AS rework_usd
    FROM cost
    GROUP BY batch, spent_on
  ) days
),
spent AS (
  SELECT
    d.batch,
    sum(d.amount_usd) AS amount_usd,
    sum(d.rework_usd) AS rework_usd,
    count(d.spent_on) AS day_count,
    max(d.spent_on) AS last_on,
    datediff(max(d.spent_on), min(d.spent_on)) + 1 AS span_days,
    min(CASE WHEN d.until_then_usd >= s.budget_usd THEN d.spent_on END) AS reached_on
  FROM daily d
  CROSS JOIN settings s
  GROUP BY d.batch
),
state AS (
  SELECT
    batch,
    sum(in_progress_count + coalesce(open_count, 0)) AS unfinished_count,
    -- Nobody knows when a batch is done of which one job does not tell.
    CASE
      WHEN max(CASE WHEN eta IS NULL AND in_progress_count + coalesce(open_count, 0) > 0 THEN 1 ELSE 0 END) = 0
        THEN max(eta)
    END AS eta
  FROM forecast
  GROUP BY batch
)
SELECT
  x.batch,
  x.amount_usd,
  x.rework_usd,
  x.label_count,
  x.accepted_count,
  CASE WHEN x.accepted_count > 0 THEN x.amount_usd / x.accepted_count END AS usd_per_accepted,
  x.budget_usd,
  x.burn_usd_per_day,
  -- A batch that is done before then does not use its budget up.
  CASE WHEN x.reached_on IS NOT NULL OR x.eta IS NULL OR x.ends_on <= to_date(x.eta) THEN x.ends_on END AS exhausted_on
FROM (
  SELECT
    b.batch,
    coalesce(p.amount_usd, CAST(0 AS DOUBLE)) AS amount_usd,
    coalesce(p.rework_usd, CAST(0 AS DOUBLE)) AS rework_usd,
    CAST(coalesce(c.label_count, 0) AS BIGINT) AS label_count,
    CAST(coalesce(c.accepted_count, 0) AS BIGINT) AS accepted_count,
    s.budget_usd,
    CASE WHEN p.day_count > 0 THEN p.amount_usd / p.day_count END AS burn_usd_per_day,
    p.reached_on,
    t.eta,
    CASE
      WHEN p.reached_on IS NOT NULL THEN p.reached_on
      -- Calendar days go by at the rate of the days so far, worked or not; a century ahead is no forecast.
      WHEN t.unfinished_count > 0 AND (s.budget_usd - p.amount_usd) * p.span_days < p.amount_usd * 36525
        THEN date_add(p.last_on, CAST(ceil((s.budget_usd - p.amount_usd) * p.span_days / p.amount_usd) AS INT))
    END AS ends_on
  FROM (SELECT DISTINCT batch FROM job) b
  CROSS JOIN settings s
  LEFT JOIN spent p ON b.batch = p.batch
  LEFT JOIN counted c ON b.batch = c.batch
  LEFT JOIN state t ON b.batch = t.batch
) x
