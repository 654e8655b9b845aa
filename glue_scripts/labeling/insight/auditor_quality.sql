-- Verdicts of every auditor by whose labels of which class they are on.
SELECT
  modality,
  auditor,
  worker,
  label,
  sum(audited_count) AS audited_count,
  sum(passed_count) AS passed_count,
  sum(double_count) AS double_count,
  sum(double_agreed_count) AS double_agreed_count,
  sum(self_audited_count) AS self_audited_count
FROM audit_count
WHERE attribute = '' AND auditor IS NOT NULL
GROUP BY modality, auditor, worker, label
