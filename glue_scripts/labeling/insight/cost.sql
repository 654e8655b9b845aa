-- What there is to pay for, by job, worker and day: data objects that Ground Truth labeled (kind service, no worker),
-- hours of private workers (labor) and answers of public ones (public). Each video or point cloud frame is a data object
-- of the bill. The service's price falls with the number of objects that the account has labeled in the month before:
-- jobs of one day count in the order of their names. Nobody works longer on a task than from its start to its end, so
-- that a wrong time spent costs no fortune.
WITH labeled AS (
  SELECT job_name, month, spent_on, sum(unit_count) AS unit_count
  FROM (
    SELECT
      job_name,
      date_trunc('MONTH', created_at) AS month,
      to_date(created_at) AS spent_on,
      greatest(frame_count, 1) AS unit_count
    FROM task
    WHERE status = 'labeled'
  ) tasks
  GROUP BY job_name, month, spent_on
),
worked AS (
  SELECT
    job_name,
    username,
    to_date(submitted_at) AS spent_on,
    CASE WHEN provider = 'public' THEN 'public' ELSE 'labor' END AS kind,
    count(*) AS answer_count,
    CAST(sum(CAST(
      CASE
        WHEN seconds IS NULL OR seconds < 0 THEN 0
        WHEN submitted_at > accepted_at
          THEN least(seconds, CAST(submitted_at AS DOUBLE) - CAST(accepted_at AS DOUBLE))
        ELSE seconds
      END AS DECIMAL(18, 6))) AS DOUBLE) AS seconds
  FROM answer
  GROUP BY job_name, username, to_date(submitted_at), CASE WHEN provider = 'public' THEN 'public' ELSE 'labor' END
),
item AS (
  SELECT
    job_name,
    CAST(NULL AS STRING) AS username,
    spent_on,
    'service' AS kind,
    CAST(unit_count AS DOUBLE) AS unit_count,
    CAST(coalesce(sum(unit_count) OVER (
      PARTITION BY month
      ORDER BY spent_on, job_name
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS DOUBLE) AS units_before
  FROM labeled
  UNION ALL
  SELECT
    job_name,
    username,
    spent_on,
    kind,
    CASE WHEN kind = 'labor' THEN seconds / 3600 ELSE CAST(answer_count AS DOUBLE) END AS unit_count,
    CAST(0 AS DOUBLE) AS units_before
  FROM worked
)
SELECT
  i.job_name,
  j.modality,
  j.task_type,
  j.batch,
  i.username,
  i.spent_on,
  i.kind,
  j.level IN ('second', 'third') OR j.base_job IS NOT NULL AS rework,
  i.unit_count,
  i.units_before,
  s.wage_usd_per_hour
FROM item i
JOIN job j ON i.job_name = j.job_name
CROSS JOIN settings s
WHERE i.unit_count > 0
