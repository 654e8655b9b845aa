// Made by `python -m web.openapi` from docs/sextant.openapi.json; not to be edited.

export type Adjustment = { job: string; base_job: string | null; annotation_id: string | null; base_annotation_id: string | null; change: string; attribute: string | null; base_value: string | null; value: string | null; label: string | null; base_label: string | null; iou: number | null; worker: string | null; auditor: string | null };

/** One consolidated label. `workers` answered its data object in this job; `verdict` is its audit's, if any. */
export type Annotation = { label: string | null; shape: string | null; instance_id: string | null; instance_name: string | null; left_px: number | null; top_px: number | null; width_px: number | null; height_px: number | null; geometry: unknown; attributes: Record<string, string | null>; annotation_id: string; job: string; modality: string | null; task_type: string | null; level: string | null; object_id: string; source_ref: string | null; frame_no: number; frame: string | null; verdict: string | null; confidence: number | null; created_at: string | null; workers?: (string)[] };

/** One annotation and all that is known of its frame: other shapes, other levels, answers, findings, changes. */
export type AnnotationDetail = { annotation: Annotation; frame: Outline; shapes: (Annotation)[]; levels: (Level)[]; answers: (GivenAnswer)[]; issues: (TrackIssue)[]; adjustments: (Adjustment)[]; as_of: string; cached: boolean };

/** `next` is the cursor of the next page, None on the last one; `not_applied` as in an answer. */
export type AnnotationPage = { annotations: (Annotation)[]; next: string | null; not_applied: (string)[]; as_of: string; cached: boolean };

/** Rows of one query. `as_of` is when Athena was asked; a `cached` answer is older by up to `max_age_minutes`. */
export type Answer = { columns: (Column)[]; rows: ((string | number | boolean | null)[])[]; truncated: boolean; not_applied: (string)[]; as_of: string; cached: boolean; max_age_minutes: number; bytes_scanned: number; query_execution_id: string };

export type Answers = { outcomes: (Outcome)[] };

/** A file of the run: `name` is relative to it. */
export type Artefact = { name: string; size_bytes: number };

/** Files of a run in the order of their names; `more` tells that there are others. */
export type Artefacts = { run: string; artefacts: (Artefact)[]; more: boolean };

export type Attention = { needs: (Need)[] };

/** What an item costs with one backend: see `sextant.inspection.cost.Cost`. */
export type Backend = { backend: string; usd_per_item: number; usd_per_thousand: number; usd_per_month: number; units: number; words: string };

/** A bin of the reliability diagram: the mean confidence and the share that was right of `n` slides. */
export type Bin = { low: number; high: number; n: number; confidence: number; accuracy: number };

/** The pointer; times in ISO 8601, UTC. */
export type Champion = { version: number; before?: number | null; since: string; by: string; reason: string; retiring?: boolean; passed?: (number)[]; rolled_back?: (number)[] };

/** A model version. */
export type Chosen = { version: number };

/** Slides and patients of a class in a split. */
export type ClassCount = { split: "train" | "valid" | "test"; label: string; slides: number; patients: number };

/** The run's slides in the order of their names; `classes` in the order of the model's outputs. */
export type Cohort = { run: string; classes: (string)[]; slides: (CohortSlide)[]; counts: (ClassCount)[] };

/** A slide of the run. `score` is that of its true class; `kept` of `tiles` tiles are in the records. What is not known yet is None: a quarantined slide has no tiles, a slide of the training split no score. One that could not be planned has no patient, label or split either. */
export type CohortSlide = { slide: string; patient?: string | null; label?: string | null; split?: "train" | "valid" | "test" | null; state: "planned" | "tiled" | "scored" | "quarantined"; kept?: number | null; tiles?: number | null; engine?: string | null; predicted?: string | null; score?: number | null; viewable?: boolean; reason?: string | null; detail?: string | null };

/** `type` is Athena's: varchar, bigint, double, date, timestamp or boolean. */
export type Column = { name: string; type: string };

/** Whether this environment has a system, and whether this release can deploy it at all. */
export type ConsoleListed = { id: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; deployed: boolean; available: boolean };

/** The beginning of a quarantined object. `text` is None where it is no text, `size_bytes` where it is gone. */
export type Content = { source: string; state: "same" | "changed" | "gone"; size_bytes?: number | null; modified_at?: string | null; text?: string | null; truncated?: boolean };

/** What an item costs at a rate (items per second) on a belt that runs some hours of a month. */
export type Costs = { rate: number; hours: number; costs: (Backend)[]; prices: (Price)[] };

/** What a threshold on the probability of an anomaly would do to the measured photographs. */
export type Cut = { probability: number; false_rejects: number; missed: number; f1: number };

/** One page of reports. */
export type Dashboard = { id: string; title: string; description: string; filters: (Filter)[]; visuals: (Visual)[] };

/** A FROM clause with its dimensions and measures. `filters` maps the name of a filter to its condition: `{values}` stands for the values, `{name}` for the name of an attribute. A filter that is not in the map cannot be applied, and the answer says so. `attributes` is the attribute filter that its column `attributes` (a map) belongs to. */
export type Dataset = { counts: string; attributes?: "label_attribute" | "frame_attribute" | null; dimensions?: Record<string, Dimension>; measures: Record<string, Measure> };

/** Something to group by. `kind` tells the page how to sort and print its values. `filter` names the filter that a click on a value sets; None: there is none. `day` stands for `since` and `until` together, both the clicked day. `label_attribute` and `frame_attribute` stand for the attribute whose name is the value of the dimension `attribute` in the same row. */
export type Dimension = { title: string; kind?: "text" | "number" | "day" | "time"; filter?: string | null };

/** The last examination of the datasets. `outdated` tells that a dataset has changed since. */
export type Doctor = { state: "never" | "running" | "done" | "failed"; at?: string | null; photographs?: number; left_out?: number; findings?: (Found)[]; message?: string; outdated?: boolean; may_change?: boolean };

/** What was changed, in words for the person who asked for it. */
export type Done = { words: string; count?: number };

/** A link that needs no sign-in and works for some seconds. */
export type Download = { url: string; seconds: number };

/** The newest finding of each camera and measure, and the last alarms, the newest first. */
export type Drift = { latest: (Watch)[]; alarms: (Watch)[] };

/** The outcome. `missed` and `false_rejects` are counts of champion and challenger; `p` is McNemar's exact one. `wins` are photographs that only the challenger gets right, `losses` those that only the champion does. */
export type Duel = { project: string; champion?: number | null; challenger: number; decision: "promote" | "keep"; words: string; at: string; normals?: number; anomalies?: number; left_out?: number; missed?: [number, number]; false_rejects?: [number, number]; auroc?: [number, number] | null; wins?: number; losses?: number; p?: number | null; promoted?: boolean };

/** A page of a dataset's photographs; `next` is the token of the following one. */
export type Entries = { dataset: InspectionDataset; photographs: (Photograph)[]; next: string | null; may_change?: boolean };

/** An environment as it was deployed. `sections` are those of its file: name → setting → value. */
export type EnvironmentSettings = { name: string; account: string; region: string; systems: ("labeling" | "slides" | "health" | "captions" | "narration" | "inspection")[]; available: ("labeling" | "slides" | "health" | "captions" | "narration" | "inspection")[]; version: string; sections: Record<string, Record<string, JsonValue>> };

/** `remedy` is for the person at the page; `detail` lists each fault of an unusable request. */
export type Error = { status: number; code: string; message: string; remedy: string; query_execution_id?: string | null; detail?: (string)[] };

/** The measurement of a model on a split. */
export type Evaluation = { schema_version?: 1; split: string; classes: (string)[]; slides: SlidesLevel; tiles: SlidesLevel; aggregation: string; model_sha256: string; plan_digest: string; missing?: (string)[] };

/** A run that did not bring new data. `at` is when it ended; `reason` names the step and what Glue says of it. */
export type Failure = { at: string; reason: string };

/** Every answer that is no success. */
export type Fault = { error: Error };

/** A control of the page. `options` names the visual that lists its values; dates have none. */
export type Filter = { id: string; title: string; type: "values" | "since" | "until" | "attributes"; options?: string | null };

/** What a reader chose: for each filter any of these values; dates are UTC days, both included. `object_id`, `instance_id` and `frame_no` narrow single annotations down: no page offers them as a control. */
export type Filters = { batch?: (string)[]; job?: (string)[]; modality?: (string)[]; level?: (string)[]; label?: (string)[]; worker?: (string)[]; auditor?: (string)[]; change?: (string)[]; issue?: (string)[]; finding?: (string)[]; since?: string | null; until?: string | null; label_attribute?: Record<string, (string)[]>; frame_attribute?: Record<string, (string)[]>; object_id?: (string)[]; instance_id?: (string)[]; frame_no?: (number)[] };

/** One measure of one camera in a window. `size` is the Kolmogorov-Smirnov distance, of `crop` the difference of the shares; `alpha` what `p` must be below for an alarm; `unclear` is a difference that is large enough for one, but may be chance of so few photographs; `examples` are the photographs (URIs) that lie farthest off. */
export type Finding = { line: string; camera: string; measure: "brightness" | "sharpness" | "crop" | "score"; alarm: boolean; size: number; p: number; psi?: number | null; alpha: number; n: number; reference: number; unclear?: boolean; words: string; examples?: (string)[] };

/** What the data doctor found: see `sextant.inspection.doctor`. */
export type Found = { kind: string; words: string; remedy: string; sources: (string)[]; shown: number; numbers: Record<string, number> };

/** One worker's answer to the data object: what of it lies in this frame. */
export type GivenAnswer = { answer_id: string; job: string; level: string | null; worker: string | null; submitted_at: string | null; seconds: number | null; shapes: (GivenShape)[] };

export type GivenShape = { label: string | null; shape: string | null; instance_id: string | null; instance_name: string | null; left_px: number | null; top_px: number | null; width_px: number | null; height_px: number | null; geometry: unknown; attributes: Record<string, string | null>; position: number | null };

/** A version to start, on some inference units, or to stop. */
export type Host = { version: number; running: boolean; units?: number };

/** Items of a span of time that begins at `at`: an hour, or in the longer windows a day. */
export type Hour = { at: string; items: number; anomalies: number };

/** Photographs of a folder, or a manifest (`….manifest`, `….jsonl`), into a dataset. */
export type Import = { kind: "train" | "test"; source: string; labelled?: boolean };

/** Counts of a window that ended at `as_of`. */
export type InspectionDashboard = { span: "1d" | "3d" | "1w" | "2w" | "1m" | "3m" | "6m"; as_of: string; places: (Ratio)[]; hours: (Hour)[] };

/** A dataset as it is now. `status` and `message` are those of the API of Lookout for Vision. `absent` is whether photographs of the last change were not there, which the message tells. */
export type InspectionDataset = { kind: "train" | "test"; status: string; message: string; absent: boolean; total: number; labeled: number; normal: number; anomaly: number };

/** A measured value with its bootstrap interval: from `low` to `high` with the level's confidence. The resampled unit is the patient, so that many tiles or slides of one patient do not make it narrower. The bounds are None where fewer than 100 resamples had the value (too few patients of a class), or all had the same one. */
export type Interval = { value: number; low: number | null; high: number | null; level?: number };

export type JsonValue = unknown;

/** How well one kind of anomaly is painted. */
export type LabelMeasured = { name: string; photographs: number; f1: number; iou: number };

/** A photograph and what a person says that it shows. */
export type Labelled = { source: string; label: "normal" | "anomaly" };

/** Labels to change in a dataset. */
export type Labels = { kind: "train" | "test"; labels: (Labelled)[] };

/** What one job of a chain of jobs made of the frame. `counterpart` is the id of the same thing's label there. */
export type Level = { job: string; level: string | null; base_job: string | null; annotations: (Annotation)[]; counterpart: string | null };

/** Which page of which list. `cursor` is `next` of the page before. */
export type Listed = { filters?: Filters; limit?: number; cursor?: string | null };

export type Listing = { dashboards: (Summary)[] };

/** The newest verdicts, the newest first, and the counts of the last minutes by line and camera. */
export type Live = { verdicts: (Verdict)[]; minutes: number; items: number; rejects: number; reviews: number; cut: boolean };

/** Where a step wrote what it did: a log group and, where one is known, a stream of it. */
export type LogPlace = { group: string; stream?: string | null };

/** An aggregate. `n` names the measure that says how many cases it rests on, `lower` and `upper` those that hold the bounds of its 95 % interval: a visual that shows the measure is answered with all of them. `adds` tells whether the measure of a whole is the sum over its parts: only such measures get totals. */
export type Measure = { title: string; unit?: "count" | "number" | "seconds" | "share" | "rate" | "usd" | "day" | "timestamp"; n?: string | null; lower?: string | null; upper?: string | null; adds?: boolean };

/** How good a version is. `on` tells which photographs: a test set, or those of training by models without them. `threshold` is the probability from which on the model calls a photograph anomalous; rates have 95 % intervals. */
export type Measured = { on: "test" | "out_of_fold"; photographs: number; normals: number; anomalies: number; f1: number | null; precision: number | null; recall: number | null; auroc: number | null; auroc_interval: [number, number] | null; average_precision: number | null; ece: number | null; false_rejects: number; false_reject_interval: [number, number]; missed: number; missed_interval: [number, number]; budget: number; guarantee: number; threshold: number | null; verdicts: Record<string, number>; pixel_auroc: number | null; labels: (LabelMeasured)[]; roc: ([number, number])[]; pr: ([number, number])[]; cuts: (Cut)[]; mistakes: (Mistake)[] };

/** What the run's model was measured at; `training` is empty where the training wrote no history. */
export type Metrics = { run: string; evaluation: Evaluation; roc: (Roc)[]; training: (TrainingPoint)[] };

/** A photograph that the model gets wrong at its own threshold. */
export type Mistake = { source: string; anomalous: boolean; probability: number; verdict: string };

/** A version with its measurements, None until it is trained, and what its training noted. */
export type ModelPage = { version: Version; champion: boolean; measured: Measured | null; notes: (string)[]; card: string; may_change?: boolean };

/** Versions of a project, the newest first. */
export type Models = { versions: (Version)[]; champion: Champion | null; may_change?: boolean };

/** Something that waits for a person: how many of a kind, or why that cannot be told. */
export type Need = { kind: "quarantine" | "finding" | "directed_audit" | "answer_flag" | "expiry" | "approval" | "review"; count: number | null; fault?: string | null };

/** A project to make. */
export type NewProject = { project: string };

/** Either `answer` or `error` is there; with an answer to a question that compares, `compared` too. */
export type Outcome = { visual: string; answer?: Answer | null; compared?: Answer | null; error?: Error | null };

/** Size of a frame in pixels. `told`: by the output itself; otherwise it is just large enough for every shape. */
export type Outline = { width_px: number | null; height_px: number | null; told: boolean; attributes: Record<string, string | null> };

/** All that a page needs to lay itself out: the dashboard and the data sets it names (their SQL stays here). */
export type Page = { dashboard: Dashboard; datasets: Record<string, Dataset> };

/** An entry of a dataset. `label` is None while nobody has labelled it; `kinds` are those its mask may paint. */
export type Photograph = { source: string; label: "normal" | "anomaly" | null; masked: boolean; kinds: (string)[] };

/** A price of the table, in US dollars, with its day and where it is from. */
export type Price = { name: string; usd: number; of: string; source: string };

/** `champion` is the version that is to answer, `answers` the one that does, `hosted` are all that run. `waiting` counts to 1,000 at most. */
export type Project = { name: string; created: string; datasets: (InspectionDataset)[]; versions: number; champion: number | null; answers: number | null; hosted: (number)[]; waiting: number };

/** A project with its trials; `verified` photographs are not in the training dataset yet. */
export type ProjectPage = { name: string; created: string; datasets: (InspectionDataset)[]; versions: number; champion: number | null; answers: number | null; hosted: (number)[]; waiting: number; trials: (Trial)[]; verified: number; drop: string; may_change?: boolean };

/** All projects by name; `may_change` tells whether the caller may do more than look. */
export type Projects = { projects: (Project)[]; may_change?: boolean };

/** A page of the quarantine under the given filters. `total` entries match, in `objects` sources; `reasons` counts the whole quarantine, whatever the filters say. */
export type Quarantine = { system: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; entries: (Rejected)[]; total: number; objects: number; reasons: (Reason)[]; offset: number; allowed?: ("start" | "stop" | "resume" | "replay")[] };

/** `fresh` asks Athena anew instead of reusing a result of the last minutes. */
export type Question = { visual: string; filters?: Filters; fresh?: boolean };

/** No more visuals than are asked at the same time, so that none waits for another's turn. `compare` asks each of them a second time, under these filters instead: two batches side by side. */
export type Questions = { visuals: (string)[]; filters?: Filters; compare?: Filters | null; fresh?: boolean };

/** Items of a place: of the whole project where `line` is empty, of a line where `camera` is. */
export type Ratio = { line: string; camera: string; items: number; anomalies: number; rejects: number; reviews: number; ratio: number; low: number; high: number };

export type Reason = { reason: string; count: number };

/** One fault of one input object; `source` is its S3 URL, with `:line` behind a manifest's. */
export type Rejected = { source: string; reason: string; detail: string; size_bytes?: number | null };

/** The ROC curve of one class against the rest, over slides. */
export type Roc = { label: string; positives: number; negatives: number; points: (RocPoint)[] };

/** At `threshold` and above a slide counts as of the class; None stands for more than any score. */
export type RocPoint = { false_positive_rate: number; true_positive_rate: number; threshold: number | null };

/** One run. `done` of `total` steps have ended, however they ended; `seconds` is there once the run has ended. */
export type Run = { system: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; id: string; state: "running" | "stopping" | "succeeded" | "failed" | "stopped"; started_at: string; ended_at?: string | null; seconds?: number | null; done: number; total: number };

/** A run with its steps, in the order in which they can run. `allowed` is what the caller may do with it now. */
export type RunDetail = { system: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; id: string; state: "running" | "stopping" | "succeeded" | "failed" | "stopped"; started_at: string; ended_at?: string | null; seconds?: number | null; done: number; total: number; steps: (Step)[]; allowed?: ("start" | "stop" | "resume" | "replay")[] };

export type Runs = { runs: (Run)[]; next?: string | null; allowed?: ("start" | "stop" | "resume" | "replay")[] };

/** Scores of the tiles of a slide: `x` and `y` by tile, `scores` by tile and class, `attention` where there is. */
export type Scores = { classes: (string)[]; span: number; x: (number)[]; y: (number)[]; scores: ((number)[])[]; attention: (number)[] | null };

export type Settings = { you: You; environment: EnvironmentSettings; versions: Record<string, string> };

/** A slide to look at. `scores` are there for slides of the test split that were scored. */
export type SlidePage = { run: string; slide: CohortSlide; version: string; width: number; height: number; objective_power: number | null; mpp: number | null; levels: (ZoomLevel)[]; grid: TileGrid; scores: Scores | null; files: (Artefact)[] };

/** Metrics at one level, slides or tiles. AUC is None where only one class has cases. */
export type SlidesLevel = { n: number; patients: number; accuracy: Interval; balanced_accuracy: Interval; auc: Interval | null; auc_per_class: Record<string, Interval | null>; confusion: ((number)[])[]; calibration_error: number; reliability: (Bin)[] };

/** A run that was just started. */
export type Started = { system: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; id: string };

/** How fresh the tables are, and what becomes of them. `as_of` is when the newest run brought them: of a failed one whose job succeeded that job's end, for no report depends on the crawlers after it. None: there was no such run among the last 25. `running_since` is set while a run is under way, `failure` if the newest ended run failed. */
export type State = { as_of: string | null; running_since: string | null; failure: Failure | null };

/** One step of a run. `name` is the resource's, `title` what people call it; `attempts` counts retries too. */
export type Step = { name: string; title: string; kind: "job" | "crawler" | "processing" | "training" | "transform" | "call"; state: "waiting" | "running" | "stopping" | "succeeded" | "failed" | "stopped" | "skipped"; started_at?: string | null; ended_at?: string | null; seconds?: number | null; attempts?: number; error?: string | null; log?: LogPlace | null };

export type Summary = { id: string; title: string; description: string };

/** A deployed system, by its last run. */
export type System = { id: "labeling" | "slides" | "health" | "captions" | "narration" | "inspection"; state: "ready" | "running" | "failed"; last_run?: Run | null };

export type Systems = { environment: string; systems: (ConsoleListed)[] };

/** The run's tiles. `span` is a tile's side in pixels of level 0. `shares` is base64 of a byte per tile, row by row: its share of background in steps of 1/200, or 255: dropped. */
export type TileGrid = { span: number; columns: number; rows: number; shares: string };

export type TrackIssue = { job: string; issue: string; frame_no: number; last_frame_no: number | null; instance_id: string | null; instance_name: string | null; value: number | null; detail: string | null };

/** What a training step told: numbers by their name. */
export type TrainingPoint = { step: number; values: Record<string, number> };

/** Photographs of a trial: how many there are, and how many a person has verified. */
export type Trial = { name: string; photographs: number; verified: number };

/** Photographs of a folder for a trial. */
export type Try = { trial: string; source: string };

/** A photograph with what the model says of it. `key` names it in what is said back; `truth` is a person's word. */
export type Verdict = { key: string; item: string; source: string; line: string; camera: string; at: string; model_version: string; is_anomalous: boolean; confidence: number; probability: number | null; verdict: "accept" | "reject" | "review"; reason: string; labels: (string)[]; masked: boolean; crop_ok: boolean; seconds: number; truth: "normal" | "anomaly" | null; added: boolean };

/** Photographs to look at; `more` tells that there are others, `verified` how many wait to be added in all. `dataset` is what they are added to, None where the project has none: its status tells how an addition goes. */
export type Verdicts = { verdicts: (Verdict)[]; more: boolean; verified: number; dataset: InspectionDataset | null; may_change?: boolean };

/** Whether the model is right about photographs. */
export type Verify = { where: "trial" | "line"; keys: (string)[]; correct: boolean };

/** A model version. `status` is the API's; `seconds` its training took so far, or in all. `f1_interval` is the 95 % interval of `f1`; `photographs` and `anomalies` are those that it was measured on. None where the model's own evaluation does not tell. */
export type Version = { version: number; status: string; message: string; description: string | null; created: string; seconds: number | null; step: string | null; f1: number | null; precision: number | null; recall: number | null; f1_interval: [number, number] | null; photographs: number | null; anomalies: number | null; duel: Duel | null };

/** One report. `rows` and `columns` are dimensions or attributes; `columns` are series, or columns of a pivot. What the newer types draw, by position: - `line`: `rows` is one day or number, `columns` its series, the first measure the height. - `control`: a p-chart. `rows` is one day or batch; the measures are share, centre, lower and upper control limit. - `interval`: a dot with whiskers for each of `rows`, in the colour of `columns`: the first measure has bounds. - `heat`: a matrix of `rows` by `columns`, coloured by the first measure. - `scatter`: a point for each of `rows`, the last of which names it: the measures are x and y, each with whiskers where it has bounds. `drill` says that a row or mark stands for single annotations, which `POST /api/annotations` lists. `pick` names the row dimension of which the page shows one value at a time. `limit` caps rows; an answer that was cut says so. `span` is the width in quarters of the page. */
export type Visual = { id: string; type: "kpi" | "pie" | "donut" | "bar" | "hbar" | "line" | "control" | "interval" | "heat" | "scatter" | "table" | "pivot" | "options"; title: string; note?: string; dataset: string; rows?: (string)[]; columns?: string | null; measures: (string)[]; sort?: "value" | "group"; pick?: string | null; limit?: number; span?: number; ignores?: (string)[]; drill?: boolean };

/** A finding of the drift monitors and the end of its window. */
export type Watch = { until: string; finding: Finding };

/** The caller, as the authorizer verified it. */
export type You = { roles: ("admin" | "analyst")[] };

/** A level of the slide's pyramid, in tiles; `downsample` is pixels of level 0 per pixel of it. */
export type ZoomLevel = { width: number; height: number; downsample: number; tile_width: number; tile_height: number; columns: number; rows: number };

export type Get<Path extends string> = string extends Path ? any :
  Path extends `/api/slides/${string}/slides/${string}/tiles/${string}/${string}/${string}/${string}` | `/api/slides/${string}/slides/${string}/tiles/${string}/${string}/${string}/${string}?${string}` ? Blob :
  Path extends `/api/inspection/projects/${string}/models/${string}` | `/api/inspection/projects/${string}/models/${string}?${string}` ? ModelPage :
  Path extends `/api/inspection/projects/${string}/trials/${string}` | `/api/inspection/projects/${string}/trials/${string}?${string}` ? Verdicts :
  Path extends `/api/inspection/projects/${string}/dashboard` | `/api/inspection/projects/${string}/dashboard?${string}` ? InspectionDashboard :
  Path extends `/api/inspection/projects/${string}/doctor` | `/api/inspection/projects/${string}/doctor?${string}` ? Doctor :
  Path extends `/api/inspection/projects/${string}/drift` | `/api/inspection/projects/${string}/drift?${string}` ? Drift :
  Path extends `/api/inspection/projects/${string}/live` | `/api/inspection/projects/${string}/live?${string}` ? Live :
  Path extends `/api/inspection/projects/${string}/mask` | `/api/inspection/projects/${string}/mask?${string}` ? Blob :
  Path extends `/api/inspection/projects/${string}/models` | `/api/inspection/projects/${string}/models?${string}` ? Models :
  Path extends `/api/inspection/projects/${string}/photographs` | `/api/inspection/projects/${string}/photographs?${string}` ? Entries :
  Path extends `/api/inspection/projects/${string}/picture` | `/api/inspection/projects/${string}/picture?${string}` ? Blob :
  Path extends `/api/inspection/projects/${string}/review` | `/api/inspection/projects/${string}/review?${string}` ? Verdicts :
  Path extends `/api/slides/${string}/slides/${string}` | `/api/slides/${string}/slides/${string}?${string}` ? SlidePage :
  Path extends `/api/inspection/projects/${string}` | `/api/inspection/projects/${string}?${string}` ? ProjectPage :
  Path extends `/api/quarantine/${string}/content` | `/api/quarantine/${string}/content?${string}` ? Content :
  Path extends `/api/slides/${string}/artefacts` | `/api/slides/${string}/artefacts?${string}` ? Artefacts :
  Path extends `/api/slides/${string}/cohort` | `/api/slides/${string}/cohort?${string}` ? Cohort :
  Path extends `/api/slides/${string}/download` | `/api/slides/${string}/download?${string}` ? Download :
  Path extends `/api/slides/${string}/metrics` | `/api/slides/${string}/metrics?${string}` ? Metrics :
  Path extends `/api/systems/${string}/attention` | `/api/systems/${string}/attention?${string}` ? Attention :
  Path extends `/api/runs/${string}/${string}` | `/api/runs/${string}/${string}?${string}` ? RunDetail :
  Path extends `/api/inspection/costs` | `/api/inspection/costs?${string}` ? Costs :
  Path extends `/api/inspection/projects` | `/api/inspection/projects?${string}` ? Projects :
  Path extends `/api/annotations/${string}` | `/api/annotations/${string}?${string}` ? AnnotationDetail :
  Path extends `/api/dashboards/${string}` | `/api/dashboards/${string}?${string}` ? Page :
  Path extends `/api/quarantine/${string}` | `/api/quarantine/${string}?${string}` ? Quarantine :
  Path extends `/api/runs/${string}` | `/api/runs/${string}?${string}` ? Runs :
  Path extends `/api/systems/${string}` | `/api/systems/${string}?${string}` ? System :
  Path extends `/api/dashboards` | `/api/dashboards?${string}` ? Listing :
  Path extends `/api/settings` | `/api/settings?${string}` ? Settings :
  Path extends `/api/state` | `/api/state?${string}` ? State :
  Path extends `/api/systems` | `/api/systems?${string}` ? Systems :
  never;

export type Post<Path extends string> = string extends Path ? any :
  Path extends `/api/inspection/projects/${string}/add` | `/api/inspection/projects/${string}/add?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/doctor` | `/api/inspection/projects/${string}/doctor?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/freeze` | `/api/inspection/projects/${string}/freeze?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/host` | `/api/inspection/projects/${string}/host?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/import` | `/api/inspection/projects/${string}/import?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/labels` | `/api/inspection/projects/${string}/labels?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/promote` | `/api/inspection/projects/${string}/promote?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/rollback` | `/api/inspection/projects/${string}/rollback?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/train` | `/api/inspection/projects/${string}/train?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/trials` | `/api/inspection/projects/${string}/trials?${string}` ? Done :
  Path extends `/api/inspection/projects/${string}/verify` | `/api/inspection/projects/${string}/verify?${string}` ? Done :
  Path extends `/api/runs/${string}/${string}/resume` | `/api/runs/${string}/${string}/resume?${string}` ? RunDetail :
  Path extends `/api/runs/${string}/${string}/stop` | `/api/runs/${string}/${string}/stop?${string}` ? RunDetail :
  Path extends `/api/dashboards/${string}/queries` | `/api/dashboards/${string}/queries?${string}` ? Answers :
  Path extends `/api/dashboards/${string}/query` | `/api/dashboards/${string}/query?${string}` ? Answer :
  Path extends `/api/quarantine/${string}/replay` | `/api/quarantine/${string}/replay?${string}` ? Started :
  Path extends `/api/inspection/projects` | `/api/inspection/projects?${string}` ? Done :
  Path extends `/api/runs/${string}` | `/api/runs/${string}?${string}` ? Started :
  Path extends `/api/annotations` | `/api/annotations?${string}` ? AnnotationPage :
  never;
