-- Gold labels of the data objects that they name.
SELECT g.job_name, t.object_id, g.label, min(g.source) AS source
FROM parsed_gold g
JOIN (
  SELECT job_name, object_id, 'object_id' AS named_by, object_id AS name FROM task
  UNION ALL
  SELECT job_name, object_id, 'source_ref' AS named_by, source_ref AS name FROM task
  UNION ALL
  SELECT job_name, object_id, 'stem' AS named_by, regexp_extract(source_ref, '([^/]*?)([.][^./]*)?$', 1) AS name
  FROM task
) t ON g.job_name = t.job_name AND g.named_by = t.named_by AND g.name = t.name
GROUP BY g.job_name, t.object_id, g.label
