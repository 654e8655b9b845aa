-- The same fault may occur twice in one frame, say: one row tells it.
SELECT DISTINCT source, reason, detail, bytes FROM parsed_rejected
