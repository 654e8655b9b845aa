-- One row per worker id. Sums of seconds are decimal, so that no order of adding changes them.
SELECT
  a.worker_id,
  a.sub,
  a.username,
  u.email,
  a.provider,
  a.issuer,
  a.first_seen,
  a.last_seen,
  a.job_count,
  a.answer_count,
  a.label_count,
  a.seconds
FROM (
  SELECT
    worker_id,
    max(sub) AS sub,
    max(username) AS username,
    max(provider) AS provider,
    max(issuer) AS issuer,
    min(coalesce(accepted_at, submitted_at)) AS first_seen,
    max(submitted_at) AS last_seen,
    count(DISTINCT job_name) AS job_count,
    count(*) AS answer_count,
    sum(label_count) AS label_count,
    CAST(sum(CAST(seconds AS DECIMAL(18, 6))) AS DOUBLE) AS seconds
  FROM answer
  GROUP BY worker_id
) a
LEFT JOIN users u ON a.sub = u.sub
