-- When the last unfinished job of a batch, and of all batches, will be done. In each simulated future that is when the
-- last of them is; bounds and median are the 25th, 500th and 975th of the 1,000 futures, as of a single job. The largest
-- of the jobs' own medians would be too early. A future in which a job is not done within what is simulated, or nobody
-- knows when, comes after all others.
WITH ended AS (
  SELECT batch, future_no, CASE WHEN count(done_at) = count(*) THEN max(done_at) END AS done_at
  FROM future
  GROUP BY batch, future_no
),
of_batch AS (
  SELECT
    batch,
    min(CASE WHEN place = 500 THEN done_at END) AS last_eta,
    min(CASE WHEN place = 25 THEN done_at END) AS last_eta_lower,
    min(CASE WHEN place = 975 THEN done_at END) AS last_eta_upper
  FROM (
    SELECT
      batch,
      done_at,
      row_number() OVER (
        PARTITION BY batch ORDER BY CASE WHEN done_at IS NULL THEN 1 ELSE 0 END, done_at, future_no
      ) AS place
    FROM ended
  ) ranked
  GROUP BY batch
),
of_all AS (
  SELECT
    min(CASE WHEN place = 500 THEN done_at END) AS all_eta,
    min(CASE WHEN place = 25 THEN done_at END) AS all_eta_lower,
    min(CASE WHEN place = 975 THEN done_at END) AS all_eta_upper
  FROM (
    SELECT
      done_at,
      row_number() OVER (ORDER BY CASE WHEN done_at IS NULL THEN 1 ELSE 0 END, done_at, future_no) AS place
    FROM (
      SELECT future_no, CASE WHEN count(done_at) = count(*) THEN max(done_at) END AS done_at
      FROM ended
      GROUP BY future_no
    ) latest
  ) ranked
),
waiting AS (
  SELECT batch, count(*) AS unfinished_count
  FROM forecast
  WHERE in_progress_count > 0 OR open_count > 0
  GROUP BY batch
)
SELECT
  w.batch,
  w.unfinished_count,
  b.last_eta,
  b.last_eta_lower,
  b.last_eta_upper,
  a.all_unfinished_count,
  e.all_eta,
  e.all_eta_lower,
  e.all_eta_upper
FROM waiting w
CROSS JOIN (SELECT CAST(sum(unfinished_count) AS BIGINT) AS all_unfinished_count FROM waiting) a
CROSS JOIN of_all e
LEFT JOIN of_batch b ON w.batch = b.batch
