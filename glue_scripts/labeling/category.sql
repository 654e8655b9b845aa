-- What jobs allow; said twice, it is one row.
SELECT job_name, kind, label, name, value, min(source) AS source
FROM parsed_category
GROUP BY job_name, kind, label, name, value
