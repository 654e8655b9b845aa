-- The original's table of answers, nested as its worker query expects it: one row per answer of every worker.
SELECT
  u.username,
  u.email,
  a.accepted_at AS acceptancetime,
  a.submitted_at AS submissiontime,
  a.seconds AS timespentinseconds,
  a.worker_id AS workerid,
  a.provider AS identityprovidertype,
  a.issuer,
  a.sub,
  a.job_name AS jobname,
  a.modality,
  array(
    named_struct(
      'trackingannotations',
      CASE WHEN p.framed = 'trackingAnnotations' THEN
        named_struct('framedata', named_struct('entries', p.entries, 's3prefix', p.s3_prefix))
      END
    )
  ) AS answercontent
FROM answer a
JOIN (SELECT answer_id, min(place) AS place FROM parsed_answer GROUP BY answer_id) kept ON a.answer_id = kept.answer_id
JOIN parsed_answer p ON p.answer_id = kept.answer_id AND p.place = kept.place
JOIN worker u ON a.worker_id = u.worker_id
