-- One row per job (kind job), its answers by hour (own), and the hours in which anybody answered anything (everyone),
-- which tell when people work. Hours count from 1970. How many answers a task takes is what most labeled tasks took;
-- while none is labeled, what the task with the most answers has.
WITH size AS (
  SELECT
    t.job_name,
    count(*) AS known_count,
    sum(CASE WHEN t.status = 'answered' THEN 0 ELSE 1 END) AS done_count,
    sum(CASE WHEN t.status = 'answered' THEN 1 ELSE 0 END) AS in_progress_count,
    max(t.answer_count) AS most_answers
  FROM task t
  GROUP BY t.job_name
),
usual AS (
  SELECT job_name, max_by(answer_count, task_count * 1000 + answer_count) AS answers_per_task
  FROM (
    SELECT job_name, least(answer_count, 999) AS answer_count, count(*) AS task_count
    FROM task
    WHERE status = 'labeled' AND answer_count > 0
    GROUP BY job_name, least(answer_count, 999)
  ) counts
  GROUP BY job_name
),
missing AS (
  SELECT
    t.job_name,
    sum(greatest(coalesce(u.answers_per_task, s.most_answers) - t.answer_count, 0)) AS missing_answer_count
  FROM task t
  JOIN size s ON t.job_name = s.job_name
  LEFT JOIN usual u ON t.job_name = u.job_name
  WHERE t.status = 'answered'
  GROUP BY t.job_name
),
newest AS (
  SELECT max(at) AS as_of
  FROM (
    SELECT max(submitted_at) AS at FROM answer
    UNION ALL
    SELECT max(created_at) AS at FROM task
  ) events
),
job_state AS (
  SELECT
    j.job_name,
    j.modality,
    j.task_type,
    j.level,
    j.batch,
    j.started_at,
    n.as_of,
    greatest(coalesce(s.known_count, 0), coalesce(j.input_count, 0)) AS task_count,
    coalesce(s.done_count, 0) AS labeled_count,
    coalesce(s.in_progress_count, 0) AS in_progress_count,
    CASE WHEN j.input_count IS NOT NULL THEN greatest(j.input_count - coalesce(s.known_count, 0), 0) END AS open_count,
    coalesce(u.answers_per_task, s.most_answers) AS answers_per_task,
    coalesce(m.missing_answer_count, 0) AS missing_answer_count
  FROM job j
  CROSS JOIN newest n
  LEFT JOIN size s ON j.job_name = s.job_name
  LEFT JOIN usual u ON j.job_name = u.job_name
  LEFT JOIN missing m ON j.job_name = m.job_name
),
worked AS (
  SELECT job_name, unix_timestamp(submitted_at) DIV 3600 AS hour, count(*) AS answer_count
  FROM answer
  WHERE submitted_at IS NOT NULL
  GROUP BY job_name, unix_timestamp(submitted_at) DIV 3600
)
SELECT
  'job' AS kind,
  *,
  CAST(NULL AS BIGINT) AS hour,
  CAST(NULL AS BIGINT) AS answer_count
FROM job_state
UNION ALL
SELECT
  'own' AS kind,
  s.*,
  w.hour,
  w.answer_count
FROM job_state s
JOIN worked w ON s.job_name = w.job_name
UNION ALL
SELECT
  'everyone' AS kind,
  s.*,
  w.hour,
  CAST(NULL AS BIGINT) AS answer_count
FROM (SELECT * FROM job_state WHERE in_progress_count > 0 OR open_count > 0) s
JOIN (SELECT DISTINCT hour FROM worked) w
  ON w.hour BETWEEN unix_timestamp(s.as_of) DIV 3600 - 8784 AND unix_timestamp(s.as_of) DIV 3600
