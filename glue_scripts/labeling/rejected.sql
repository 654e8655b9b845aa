-- The same fault may occur twice in one frame, say: one row tells it. A gold label may name what no job has.
SELECT DISTINCT source, reason, detail, bytes FROM parsed_rejected
UNION ALL
SELECT DISTINCT
  g.source,
  'gold label of an unknown data object' AS reason,
  concat(g.job_name, ' has none with ', g.named_by, ' ', g.name) AS detail,
  g.bytes
FROM parsed_gold g
LEFT JOIN (
  SELECT job_name, 'object_id' AS named_by, object_id AS name FROM task
  UNION ALL
  SELECT job_name, 'source_ref' AS named_by, source_ref AS name FROM task
  UNION ALL
  SELECT job_name, 'stem' AS named_by, regexp_extract(source_ref, '([^/]*?)([.][^./]*)?$', 1) AS name FROM task
) t ON g.job_name = t.job_name AND g.named_by = t.named_by AND g.name = t.name
WHERE t.name IS NULL
