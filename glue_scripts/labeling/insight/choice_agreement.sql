-- The classes that workers chose, of data objects with two answers or more. Of several answers of one worker to one
-- object the latest counts. An answer of a multiple choice without any class is one row without label.
WITH latest AS (
  SELECT job_name, modality, task_type, object_id, username AS worker, answer_id, submitted_at, label
  FROM (
    SELECT
      *,
      row_number() OVER (
        PARTITION BY job_name, object_id, username ORDER BY submitted_at DESC NULLS LAST, iteration DESC, answer_id
      ) AS place
    FROM answer
    WHERE label IS NOT NULL OR (task_type LIKE '%-multilabel' AND label_count IS NOT NULL)
  ) answers
  WHERE place = 1
),
shared AS (
  SELECT job_name, object_id, max(submitted_at) AS last_at
  FROM latest
  GROUP BY job_name, object_id
  HAVING count(*) > 1
)
SELECT
  l.job_name,
  l.modality,
  l.task_type,
  l.object_id,
  l.worker,
  CAST(s.last_at AS DATE) AS day,
  coalesce(l.label, c.label) AS label
FROM latest l
JOIN shared s ON l.job_name = s.job_name AND l.object_id = s.object_id
LEFT JOIN (SELECT answer_id, label FROM answer_annotation WHERE shape = 'class') c
  ON l.answer_id = c.answer_id AND l.label IS NULL
