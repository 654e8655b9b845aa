-- Answers of single-choice jobs, with the gold label and Ground Truth's own label of each data object: objects with two
-- answers or more, or with a gold label. Of several answers of one worker to one object the latest counts. Several gold
-- labels that contradict each other are none.
WITH latest AS (
  SELECT *, count(*) OVER (PARTITION BY job_name, object_id) AS answer_count
  FROM (
    SELECT
      *,
      row_number() OVER (
        PARTITION BY job_name, object_id, worker_id ORDER BY submitted_at DESC NULLS LAST, iteration DESC, answer_id
      ) AS place
    FROM answer
    WHERE label IS NOT NULL
  ) answers
  WHERE place = 1
),
gold AS (
  SELECT job_name, object_id, max(label) AS label
  FROM gold_label
  GROUP BY job_name, object_id
  HAVING count(DISTINCT label) = 1
)
SELECT
  l.job_name,
  l.modality,
  l.task_type,
  l.object_id,
  t.source_ref,
  l.worker_id,
  l.username,
  l.label,
  g.label AS gold_label,
  t.label AS output_label
FROM latest l
LEFT JOIN gold g ON l.job_name = g.job_name AND l.object_id = g.object_id
LEFT JOIN task t ON l.job_name = t.job_name AND l.object_id = t.object_id
WHERE l.answer_count > 1 OR g.label IS NOT NULL
