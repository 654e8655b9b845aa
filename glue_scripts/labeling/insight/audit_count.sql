-- Verdicts by everything that tells them apart: those that `levels.sql` leads to, and those on the labels of a job that
-- follows none and that none follows. Nobody knows who made such labels, and one worker at most answered each data
-- object (several are of levels.sql), so their sums are enough: by combination of attributes, where the job has no
-- answers or those of one worker to all its data objects.
WITH alone AS (
  SELECT j.job_name, j.modality, j.task_type
  FROM job j
  LEFT JOIN job b ON j.base_job = b.job_name AND b.job_name <> j.job_name
  LEFT JOIN job n ON j.job_name = n.base_job AND j.job_name <> n.job_name
  JOIN (
    SELECT DISTINCT a.job_name
    FROM attribute_count a
    JOIN settings s ON a.attribute = s.audit_attribute
  ) v ON j.job_name = v.job_name
  WHERE b.job_name IS NULL AND n.job_name IS NULL AND j.task_type <> 'label-verification'
),
answerer AS (
  SELECT w.job_name, w.object_id, max(w.username) AS auditor
  FROM answer w
  JOIN alone j ON w.job_name = j.job_name
  GROUP BY w.job_name, w.object_id
),
sole AS (
  SELECT
    j.job_name,
    CASE
      WHEN max(t.worker_count) = 0 THEN 1
      WHEN min(t.worker_count) = 1 AND max(t.worker_count) = 1 AND count(DISTINCT w.auditor) = 1 THEN 1
      ELSE 0
    END AS whole,
    max(w.auditor) AS auditor
  FROM alone j
  JOIN task t ON j.job_name = t.job_name
  LEFT JOIN answerer w ON t.job_name = w.job_name AND t.object_id = w.object_id
  WHERE t.status = 'labeled'
  GROUP BY j.job_name
),
told AS (
  SELECT l.job_name, o.auditor, l.label, l.attributes, l.created_on, l.annotation_count
  FROM label_count l
  JOIN sole o ON l.job_name = o.job_name
  WHERE o.whole = 1
  UNION ALL
  SELECT
    a.job_name, w.auditor, a.label, a.attributes, CAST(t.created_at AS DATE) AS created_on,
    CAST(1 AS BIGINT) AS annotation_count
  FROM sole o
  JOIN task t ON o.job_name = t.job_name
  JOIN annotation a ON t.job_name = a.job_name AND t.object_id = a.object_id
  LEFT JOIN answerer w ON t.job_name = w.job_name AND t.object_id = w.object_id
  WHERE o.whole = 0 AND t.status = 'labeled' AND t.worker_count <= 1
),
judged AS (
  SELECT
    t.job_name,
    t.auditor,
    t.label,
    t.attributes,
    t.created_on,
    t.annotation_count,
    CASE
      WHEN lower(trim(element_at(t.attributes, s.audit_attribute))) IN ('pass', 'good', 'correct', 'yes')
        THEN t.annotation_count
      ELSE 0
    END AS passed_count
  FROM told t
  JOIN settings s ON element_at(t.attributes, s.audit_attribute) <> ''
),
-- Attributes with so many values are remarks, of which nobody wants a pass rate: as in levels.sql.
counted AS (
  SELECT a.job_name, a.attribute
  FROM attribute_count a
  JOIN alone j ON a.job_name = j.job_name
  JOIN settings s ON a.attribute <> s.audit_attribute
  WHERE a.attribute <> ''
  GROUP BY a.job_name, a.attribute
  HAVING count(DISTINCT a.value) <= 50
),
by_value AS (
  SELECT job_name, auditor, label, attribute, value, created_on, annotation_count, passed_count
  FROM judged
  LATERAL VIEW explode(attributes) pair AS attribute, value
),
cell AS (
  SELECT
    job_name, modality, task_type, audited_job, worker, auditor, label, attribute, value, created_on, audited_count,
    passed_count, self_audited_count, double_count, double_agreed_count
  FROM audit_part
  UNION ALL
  SELECT
    j.job_name, j.modality, j.task_type, NULL, NULL, x.auditor, x.label, x.attribute, x.value, x.created_on,
    x.annotation_count, x.passed_count, 0, 0, 0
  FROM alone j
  JOIN (
    SELECT job_name, auditor, label, '' AS attribute, '' AS value, created_on, annotation_count, passed_count
    FROM judged
    UNION ALL
    SELECT
      b.job_name, b.auditor, b.label, b.attribute, coalesce(b.value, ''), b.created_on, b.annotation_count,
      b.passed_count
    FROM by_value b
    JOIN counted c ON b.job_name = c.job_name AND b.attribute = c.attribute
  ) x ON j.job_name = x.job_name
)
SELECT
  job_name,
  modality,
  task_type,
  audited_job,
  worker,
  auditor,
  label,
  attribute,
  value,
  created_on,
  sum(audited_count) AS audited_count,
  sum(passed_count) AS passed_count,
  sum(self_audited_count) AS self_audited_count,
  sum(double_count) AS double_count,
  sum(double_agreed_count) AS double_agreed_count
FROM cell
GROUP BY job_name, modality, task_type, audited_job, worker, auditor, label, attribute, value, created_on
