-- Cost by accepted label of each batch. A label is accepted if it is in the output of the batch's last level that saw its
-- data object and nobody failed it there: neither by the audit attribute nor by a verification of the data object. The
-- words that pass are those of `audits.PASSED`.
WITH taken_on AS (
  SELECT DISTINCT n.base_job AS job_name, t.source_ref
  FROM job n
  JOIN job b ON n.base_job = b.job_name AND n.batch = b.batch
  JOIN task t ON t.job_name = n.job_name
  WHERE n.task_type <> 'label-verification' AND t.status = 'labeled'
),
turned_down AS (
  SELECT DISTINCT n.base_job AS job_name, a.source_ref
  FROM job n
  JOIN annotation a ON a.job_name = n.job_name
  WHERE
    n.base_job IS NOT NULL
    AND a.shape = 'verdict'
    AND lower(trim(a.label)) NOT IN ('pass', 'good', 'correct', 'yes')
),
label AS (
  SELECT
    a.job_name,
    a.source_ref,
    count(*) AS label_count,
    sum(CASE
      WHEN lower(trim(coalesce(element_at(a.attributes, s.audit_attribute), 'pass'))) IN ('pass', 'good', 'correct', 'yes') THEN 1
      ELSE 0
    END) AS passed_count
  FROM annotation a
  CROSS JOIN settings s
  WHERE a.shape <> 'verdict'
  GROUP BY a.job_name, a.source_ref
),
counted AS (
  SELECT
    j.batch,
    sum(CASE WHEN j.base_job IS NULL THEN l.label_count ELSE 0 END) AS label_count,
    sum(CASE WHEN n.job_name IS NULL AND d.job_name IS NULL THEN l.passed_count ELSE 0 END) AS accepted_count
  FROM label l
  JOIN job j ON l.job_name = j.job_name
  LEFT JOIN taken_on n ON l.job_name = n.job_name AND l.source_ref = n.source_ref
  LEFT JOIN turned_down d ON l.job_name = d.job_name AND l.source_ref = d.source_ref
  GROUP BY j.batch
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
  SELECT batch, sum(in_progress_count + coalesce(open_count, 0)) AS unfinished_count, max(eta) AS eta
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
