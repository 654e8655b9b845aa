"""Input whose content must not end a run: one good object among every kind of hostile one."""

import json
from pathlib import Path

DEEP = "[" * 300 + "]" * 300
META = '{"type":"groundtruth/%s","job-name":"labeling-job/x","creation-date":"%s"}'
GOOD = {
    "submissionTime": "2026-09-01T10:00:00Z",
    "workerId": "w",
    "answerContent": {"crowd-classifier": {"label": "A"}},
}


def answers(content='{"a":1}', more=""):
    return f'{{"answers":[{json.dumps(GOOD)},{{"workerId":"v","answerContent":{content}{more}}}]}}'


def boxes(attributes="{}", left="1"):
    box = f'{{"class-id":0,"height":1,"width":1,"top":1,"left":{left},"label-category-attributes":{attributes}}}'
    return f'{{"tracking-annotations":[{{"frame-no":"0","frame":"f","annotations":[{box}]}}]}}'


RESPONSES = {
    "good": answers(),
    "first-hour": answers(more=',"acceptanceTime":"0001-01-01T00:00:00+05:00"'),
    "first-day": answers(more=',"acceptanceTime":"0001-01-01T12:00:00Z","submissionTime":"9999-12-31T00:00:00Z"'),
    "long": answers(more=',"timeSpentInSeconds":"1e300"'),
    "deep": answers(DEEP),
    "deep-text": answers(json.dumps(DEEP)),
    "surrogate": answers(r'"\ud83d"'),
    "infinite": answers("1e999"),
    "small": answers("[1e-05,-1.5e-7,1e16,18446744073709551616]"),
    "zero": answers(r'"\u0000"'),
    "bom": "\ufeff" + answers(),
}
SEQUENCES = {
    "good": boxes(),
    "deep": boxes(f'{{"a":{DEEP}}}'),
    "deep-frame": boxes().replace('"annotations"', f'"frame-attributes":{{"a":{DEEP}}},"annotations"'),
    "surrogate": boxes(r'{"a":"\ud83d"}'),
    "infinite": boxes(left="1e999"),
}
LINES = (
    '{"source-ref":"s3://b/0.jpg","birds":1,"birds-metadata":' + META % ("image-classification", "2026-09-01") + "}",
    '{"source-ref":"s3://b/1.jpg","birds":1,"birds-metadata":'
    + META % ("image-classification", "9999-12-31T23:59:59-05:00")
    + "}",
    '{"source-ref":"s3://b/2.jpg","birds":' + DEEP + ',"birds-metadata":' + META % ("custom", "2026-09-01") + "}",
    '{"source-ref":"s3://b/3.jpg","birds":{"annotations":[{"class_id":0,"left":1,"top":1,"width":1,"height":1,'
    f'"label-category-attributes":{{"a":{DEEP}}}}}]}},"birds-metadata":'
    + META % ("object-detection", "2026-09-01")
    + "}",
    r'{"source":"\ud83d","birds":1,"birds-metadata":' + META % ("text-classification", "2026-09-01") + "}",
    '{"source":"x","birds":1e999,"birds-metadata":' + META % ("custom", "2026-09-01") + "}",
    '{"source-ref":"s3://b/6.jpg","birds":1,"birds-metadata":' + META % ("image-classification", "1700-01-01") + "}",
)


def write(folder):
    """The corpus below a folder, as jobs x (answers), y (sequences) and z (a manifest)."""
    objects = {f"x/annotations/worker-response/iteration-1/{name}/t.json": body for name, body in RESPONSES.items()}
    for name, body in SEQUENCES.items():
        objects[f"y/annotations/consolidated-annotation/output/{name}/SeqLabel.json"] = body
    objects["z/manifests/output/output.manifest"] = "\n".join(LINES)
    for key, body in objects.items():
        path = Path(folder) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
