-- What was compared object by object, to be added up job by job.
SELECT * FROM object_agreement
