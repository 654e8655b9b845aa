-- Answers of a job that nothing else describes would be lost in the joins, so they cannot be: every answer tells its job.
SELECT DISTINCT source, reason, detail, bytes FROM parsed_rejected
