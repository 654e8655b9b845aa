-- Defects of the output itself, each with the object it was read from. What concerns one tracked object is one finding,
-- at its first frame. Sizes of images, label categories and answers are not told by every job: where one is missing,
-- nothing is held against it.
WITH newest AS (
  SELECT max(at) AS as_of
  FROM (
    SELECT max(submitted_at) AS at FROM answer
    UNION ALL
    SELECT max(created_at) AS at FROM task
  ) events
),
-- The frames of a sequence in order. Frames are numbered in steps: of every fifth frame of a film none is missing.
neighbour AS (
  SELECT
    job_name,
    object_id,
    frame_no,
    label_count,
    source,
    lead(frame_no) OVER (PARTITION BY job_name, object_id ORDER BY frame_no, source) - frame_no AS step,
    sum(CASE WHEN label_count > 0 THEN 1 ELSE 0 END) OVER (
      PARTITION BY job_name, object_id ORDER BY frame_no, source ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS labeled_before,
    sum(CASE WHEN label_count > 0 THEN 1 ELSE 0 END) OVER (PARTITION BY job_name, object_id) AS labeled_frames
  FROM frame
),
missing_frame AS (
  SELECT
    n.job_name,
    n.object_id,
    n.frame_no + s.stride AS frame_no,
    'missing_frame' AS finding,
    'warning' AS severity,
    concat(
      'no frames ', CAST(n.frame_no + s.stride AS STRING), ' to ', CAST(n.frame_no + n.step - s.stride AS STRING)
    ) AS detail,
    n.source
  FROM neighbour n
  JOIN (
    SELECT job_name, object_id, min(step) AS stride
    FROM neighbour
    WHERE step > 0
    GROUP BY job_name, object_id
  ) s
    ON n.job_name = s.job_name AND n.object_id = s.object_id
  WHERE n.step > s.stride
),
-- A few frames without a label between frames with labels: things do not vanish so shortly.
missing_label AS (
  SELECT
    job_name,
    object_id,
    min(frame_no) AS frame_no,
    'missing_label' AS finding,
    'warning' AS severity,
    concat(CAST(count(*) AS STRING), ' frames without any label between frames that have labels') AS detail,
    min_by(source, frame_no) AS source
  FROM neighbour
  WHERE label_count = 0 AND labeled_before > 0 AND labeled_before < labeled_frames
  GROUP BY job_name, object_id, labeled_before
  HAVING count(*) <= 5
  UNION ALL
  SELECT
    t.job_name,
    t.object_id,
    CAST(NULL AS INT) AS frame_no,
    'missing_label' AS finding,
    'error' AS severity,
    concat(CAST(t.answer_count AS STRING), ' answers but no label, and nothing happened in the job for 7 days') AS detail,
    a.source
  FROM task t
  JOIN job j ON t.job_name = j.job_name
  CROSS JOIN newest n
  JOIN (SELECT job_name, object_id, max(source) AS source FROM answer GROUP BY job_name, object_id) a
    ON t.job_name = a.job_name AND t.object_id = a.object_id
  WHERE t.status = 'answered' AND unix_timestamp(n.as_of) - unix_timestamp(j.finished_at) > 7 * 86400
),
labeled AS (
  SELECT
    job_name,
    object_id,
    label,
    min(frame_no) AS frame_no,
    count(*) AS label_count,
    min_by(source, frame_no) AS source
  FROM annotation
  WHERE coalesce(human, true) AND shape <> 'mask'
  GROUP BY job_name, object_id, label
),
missing_answer AS (
  SELECT
    t.job_name,
    t.object_id,
    CAST(NULL AS INT) AS frame_no,
    'missing_answer' AS finding,
    'warning' AS severity,
    'labeled by people, but there is no answer' AS detail,
    l.source
  FROM task t
  JOIN job j ON t.job_name = j.job_name
  JOIN (SELECT job_name, object_id, min(source) AS source FROM labeled GROUP BY job_name, object_id) l
    ON t.job_name = l.job_name AND t.object_id = l.object_id
  WHERE t.status = 'labeled' AND t.answer_count = 0 AND j.answer_count > 0
),
-- Boxes of one class in one frame from left to right. Those of an overlap above 0.95 begin within a nineteenth of their
-- width, so that only close neighbours need be compared: the next five. Few frames have such neighbours, and only those
-- are sorted with all their columns.
crowded AS (
  SELECT DISTINCT job_name, object_id, frame_no, label
  FROM (
    SELECT
      job_name,
      object_id,
      frame_no,
      label,
      width_px,
      lead(left_px) OVER (PARTITION BY job_name, object_id, frame_no, label ORDER BY left_px) - left_px AS step_px
    FROM annotation
    WHERE shape = 'box' AND width_px > 0 AND height_px > 0
  ) beside
  WHERE step_px < width_px / 19
),
ordered_box AS (
  SELECT
    job_name,
    object_id,
    frame_no,
    label,
    instance_id,
    annotation_id,
    left_px,
    top_px,
    width_px,
    height_px,
    source,
    row_number() OVER (
      PARTITION BY job_name, object_id, frame_no, label ORDER BY left_px, top_px, annotation_id
    ) AS place,
    lead(left_px) OVER (
      PARTITION BY job_name, object_id, frame_no, label ORDER BY left_px, top_px, annotation_id
    ) AS next_left_px
  FROM (
    SELECT a.*
    FROM annotation a
    JOIN crowded c
      ON
        a.job_name = c.job_name
        AND a.object_id = c.object_id
        AND a.frame_no = c.frame_no
        AND a.label = c.label
    WHERE a.shape = 'box' AND a.width_px > 0 AND a.height_px > 0
  ) boxes
),
twin AS (
  SELECT
    a.job_name,
    a.object_id,
    a.frame_no,
    a.label,
    coalesce(a.instance_id, a.annotation_id) AS one,
    coalesce(b.instance_id, b.annotation_id) AS other,
    a.source,
    greatest(least(a.left_px + a.width_px, b.left_px + b.width_px) - greatest(a.left_px, b.left_px), 0)
    * greatest(least(a.top_px + a.height_px, b.top_px + b.height_px) - greatest(a.top_px, b.top_px), 0) AS common,
    a.width_px * a.height_px + b.width_px * b.height_px AS areas
  FROM ordered_box a
  JOIN ordered_box b
    ON
      a.job_name = b.job_name
      AND a.object_id = b.object_id
      AND a.frame_no = b.frame_no
      AND a.label = b.label
  WHERE b.place BETWEEN a.place + 1 AND a.place + 5 AND a.next_left_px - a.left_px < a.width_px / 19
),
duplicate_label AS (
  SELECT
    job_name,
    object_id,
    min(frame_no) AS frame_no,
    'duplicate_label' AS finding,
    'error' AS severity,
    concat('two boxes of ', label, ' in one place, in ', CAST(count(DISTINCT frame_no) AS STRING), ' frames: ',
      least(one, other), ' and ', greatest(one, other)) AS detail,
    min_by(source, frame_no) AS source
  FROM twin
  WHERE common / (areas - common) > 95e-2
  GROUP BY job_name, object_id, label, least(one, other), greatest(one, other)
),
given AS (
  SELECT DISTINCT job_name, object_id, label
  FROM answer_annotation
  UNION
  SELECT DISTINCT job_name, object_id, label
  FROM answer
  WHERE label IS NOT NULL
),
contradiction AS (
  SELECT
    l.job_name,
    l.object_id,
    l.frame_no,
    'contradiction' AS finding,
    'error' AS severity,
    concat('labeled ', l.label, ', which no worker gave') AS detail,
    l.source
  FROM labeled l
  JOIN (SELECT DISTINCT job_name, object_id FROM given) o
    ON l.job_name = o.job_name AND l.object_id = o.object_id
  LEFT JOIN given g
    ON l.job_name = g.job_name AND l.object_id = g.object_id AND l.label = g.label
  -- Of a job that tells no class names the labels are numbers.
  WHERE g.job_name IS NULL AND NOT l.label RLIKE '^[0-9]+$'
  UNION ALL
  SELECT
    job_name,
    object_id,
    min(frame_no) AS frame_no,
    'contradiction' AS finding,
    'error' AS severity,
    concat('tracked object ', instance_id, ' is ', concat_ws(' and ', sort_array(collect_set(label)))) AS detail,
    min_by(source, frame_no) AS source
  FROM annotation
  WHERE instance_id IS NOT NULL
  GROUP BY job_name, object_id, instance_id
  HAVING count(DISTINCT label) > 1
  UNION ALL
  SELECT
    l.job_name,
    l.object_id,
    CAST(NULL AS INT) AS frame_no,
    'contradiction' AS finding,
    'error' AS severity,
    concat('the data object was labeled several times: ', d.labels) AS detail,
    l.source
  FROM (
    SELECT job_name, source_ref, concat_ws(' and ', sort_array(collect_set(label))) AS labels
    FROM task
    WHERE label IS NOT NULL AND source_ref IS NOT NULL
    GROUP BY job_name, source_ref
    HAVING count(DISTINCT label) > 1
  ) d
  JOIN task t ON d.job_name = t.job_name AND d.source_ref = t.source_ref
  JOIN labeled l ON t.job_name = l.job_name AND t.object_id = l.object_id
  UNION ALL
  SELECT
    c.job_name,
    c.object_id,
    CAST(NULL AS INT) AS frame_no,
    'contradiction' AS finding,
    'error' AS severity,
    concat(
      'adjustment-status is unadjusted, but against ', c.base_job, ' ',
      CAST(c.added_count AS STRING), ' labels were added, ',
      CAST(c.removed_count AS STRING), ' removed, ',
      CAST(c.moved_count AS STRING), ' moved, ',
      CAST(c.relabelled_count AS STRING), ' relabelled, ',
      CAST(c.attribute_count AS STRING), ' given other values'
    ) AS detail,
    l.source
  FROM adjustment_task c
  JOIN (
    SELECT job_name, object_id FROM parsed_task
    GROUP BY job_name, object_id
    HAVING count(CASE WHEN NOT adjusted THEN 1 END) > 0 AND count(CASE WHEN adjusted THEN 1 END) = 0
  ) u
    ON c.job_name = u.job_name AND c.object_id = u.object_id
  LEFT JOIN (SELECT job_name, object_id, min(source) AS source FROM labeled GROUP BY job_name, object_id) l
    ON c.job_name = l.job_name AND c.object_id = l.object_id
  WHERE c.added_count + c.removed_count + c.moved_count + c.relabelled_count + c.attribute_count > 0
),
-- What the categories allow is held against the counts first: only jobs with a foreign label or value are read again.
foreign_label AS (
  SELECT DISTINCT c.job_name, c.label
  FROM attribute_count c
  JOIN (SELECT DISTINCT job_name FROM category WHERE kind = 'label') k ON c.job_name = k.job_name
  LEFT JOIN category a
    ON c.job_name = a.job_name AND a.kind = 'label' AND c.label = a.label
  WHERE c.attribute = '' AND c.label IS NOT NULL AND a.job_name IS NULL
),
foreign_attribute AS (
  SELECT DISTINCT c.job_name, c.label, c.attribute, c.value, n.job_name IS NOT NULL AS known
  FROM attribute_count c
  JOIN (SELECT DISTINCT job_name FROM category WHERE kind = 'label_attribute') k ON c.job_name = k.job_name
  LEFT JOIN (
    SELECT DISTINCT job_name, label, lower(name) AS name, value IS NOT NULL AS told FROM category
    WHERE kind = 'label_attribute'
  ) n
    ON c.job_name = n.job_name AND c.attribute = n.name AND c.label = coalesce(n.label, c.label)
  LEFT JOIN category v
    ON
      c.job_name = v.job_name
      AND v.kind = 'label_attribute'
      AND c.attribute = lower(v.name)
      AND c.label = coalesce(v.label, c.label)
      AND c.value = v.value
  WHERE c.attribute <> '' AND (n.job_name IS NULL OR (n.told AND v.job_name IS NULL))
),
frame_value AS (
  SELECT job_name, object_id, frame_no, source, attribute, value
  FROM (SELECT * FROM frame WHERE cardinality(attributes) > 0) f
  LATERAL VIEW explode(attributes) pair AS attribute, value
),
foreign_frame_attribute AS (
  SELECT
    f.job_name,
    f.object_id,
    min(f.frame_no) AS frame_no,
    f.attribute,
    f.value,
    n.job_name IS NOT NULL AS known,
    count(*) AS frame_count,
    min_by(f.source, f.frame_no) AS source
  FROM frame_value f
  JOIN (SELECT DISTINCT job_name FROM category WHERE kind = 'frame_attribute') k ON f.job_name = k.job_name
  LEFT JOIN (
    SELECT DISTINCT job_name, lower(name) AS name, value IS NOT NULL AS told FROM category
    WHERE kind = 'frame_attribute'
  ) n
    ON f.job_name = n.job_name AND f.attribute = n.name
  LEFT JOIN category v
    ON f.job_name = v.job_name AND v.kind = 'frame_attribute' AND f.attribute = lower(v.name) AND f.value = v.value
  WHERE n.job_name IS NULL OR (n.told AND v.job_name IS NULL)
  GROUP BY f.job_name, f.object_id, f.attribute, f.value, n.job_name IS NOT NULL
),
out_of_schema AS (
  SELECT
    a.job_name,
    a.object_id,
    min(a.frame_no) AS frame_no,
    'unknown_label' AS finding,
    'error' AS severity,
    concat('label ', a.label, ' is not among the categories of the job, ', CAST(count(*) AS STRING), ' times') AS detail,
    min_by(a.source, a.frame_no) AS source
  FROM annotation a
  JOIN foreign_label f ON a.job_name = f.job_name AND a.label = f.label
  GROUP BY a.job_name, a.object_id, a.label
  UNION ALL
  SELECT
    a.job_name,
    a.object_id,
    min(a.frame_no) AS frame_no,
    CASE WHEN f.known THEN 'unknown_value' ELSE 'unknown_attribute' END AS finding,
    'error' AS severity,
    concat('attribute ', f.attribute, ' of ', a.label, CASE WHEN f.known THEN ' has the value ' ELSE ' is unknown: ' END,
      f.value, ', ', CAST(count(*) AS STRING), ' times') AS detail,
    min_by(a.source, a.frame_no) AS source
  FROM annotation a
  JOIN foreign_attribute f ON a.job_name = f.job_name AND a.label = f.label
  WHERE element_at(a.attributes, f.attribute) = f.value
  GROUP BY a.job_name, a.object_id, a.label, f.attribute, f.value, f.known
  UNION ALL
  SELECT
    job_name,
    object_id,
    frame_no,
    CASE WHEN known THEN 'unknown_value' ELSE 'unknown_attribute' END AS finding,
    'error' AS severity,
    concat('frame attribute ', attribute, CASE WHEN known THEN ' has the value ' ELSE ' is unknown: ' END,
      value, ', ', CAST(frame_count AS STRING), ' times') AS detail,
    source
  FROM foreign_frame_attribute
),
misplaced AS (
  SELECT
    a.job_name,
    a.object_id,
    a.frame_no,
    a.label,
    coalesce(a.instance_id, a.annotation_id) AS shape_id,
    coalesce(a.width_px, 0) <= 0 OR coalesce(a.height_px, 0) <= 0 AS empty,
    a.source
  FROM annotation a
  LEFT JOIN (
    SELECT job_name, object_id, frame_no, max(width_px) AS width_px, max(height_px) AS height_px
    FROM frame
    GROUP BY job_name, object_id, frame_no
  ) f
    ON a.job_name = f.job_name AND a.object_id = f.object_id AND a.frame_no = f.frame_no
  WHERE
    a.shape = 'box'
    -- Tools round: a pixel beyond the edge is no defect.
    AND (
      coalesce(a.width_px, 0) <= 0
      OR coalesce(a.height_px, 0) <= 0
      OR a.left_px < -1
      OR a.top_px < -1
      OR a.left_px + a.width_px > f.width_px + 1
      OR a.top_px + a.height_px > f.height_px + 1
    )
),
shape_defect AS (
  SELECT
    job_name,
    object_id,
    min(frame_no) AS frame_no,
    CASE WHEN empty THEN 'empty_shape' ELSE 'outside_image' END AS finding,
    CASE WHEN empty THEN 'error' ELSE 'warning' END AS severity,
    concat(
      CASE WHEN empty THEN 'box without area: ' ELSE 'box reaches beyond the image: ' END,
      label, ' ', shape_id, ', ', CAST(count(*) AS STRING), ' times'
    ) AS detail,
    min_by(source, frame_no) AS source
  FROM misplaced
  GROUP BY job_name, object_id, label, shape_id, empty
),
time_order AS (
  SELECT
    job_name,
    object_id,
    CAST(NULL AS INT) AS frame_no,
    'time_order' AS finding,
    'error' AS severity,
    CASE
      WHEN submitted_at < accepted_at
        THEN concat(username, ' submitted ', CAST(submitted_at AS STRING), ', before accepting ', CAST(accepted_at AS STRING))
      ELSE concat(username, ' spent less than no time')
    END AS detail,
    source
  FROM answer
  WHERE submitted_at < accepted_at OR seconds < 0
)
SELECT DISTINCT
  f.job_name,
  j.modality,
  j.task_type,
  f.object_id,
  CAST(f.frame_no AS INT) AS frame_no,
  f.finding,
  f.severity,
  f.detail,
  f.source
FROM (
  SELECT * FROM missing_frame
  UNION ALL
  SELECT * FROM missing_label
  UNION ALL
  SELECT * FROM missing_answer
  UNION ALL
  SELECT * FROM duplicate_label
  UNION ALL
  SELECT * FROM contradiction
  UNION ALL
  SELECT * FROM out_of_schema
  UNION ALL
  SELECT * FROM shape_defect
  UNION ALL
  SELECT * FROM time_order
) f
JOIN job j ON f.job_name = j.job_name
