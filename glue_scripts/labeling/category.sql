-- What jobs allow. Said twice, it is one row; a configuration file says it better than a manifest line (`…#n`).
SELECT
  job_name,
  kind,
  label,
  name,
  value,
  coalesce(min(CASE WHEN source NOT LIKE '%#%' THEN source END), min(source)) AS source
FROM parsed_category
GROUP BY job_name, kind, label, name, value
