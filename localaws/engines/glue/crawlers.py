"""Crawlers and classifiers: their definitions, their runs, their history."""

from __future__ import annotations

import json
import statistics
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from localaws.engines.glue import cron
from localaws.engines.glue.crawl import Cancelled, Crawl, Outcome, split_path, summary
from localaws.engines.glue.globs import glob
from localaws.engines.glue.state import SERVICE, Place, State, hand_over, invalid, not_found, paged, place_of, role_arn
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from datetime import datetime

CRAWLS_AT_ONCE = 2
LOG_GROUP = "/aws-glue/crawlers"
DEFINITION = (
    "Role", "Targets", "DatabaseName", "Description", "Classifiers", "RecrawlPolicy", "SchemaChangePolicy",
    "LineageConfiguration",
    "TablePrefix", "Configuration", "CrawlerSecurityConfiguration", "LakeFormationConfiguration",
)  # fmt: skip
INTERRUPTED = "The embedded AWS was stopped while the crawl was running: start the crawler again"
HISTORY = 100


class Crawlers(State):
    """The crawler and classifier operations."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._crawl_pool = ThreadPoolExecutor(CRAWLS_AT_ONCE, thread_name_prefix="glue-crawl")
        self._cancelled: set[str] = set()

    # -- definitions -----------------------------------------------------------------------------------------------

    def create_crawler(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        self._check_crawler(call, params)
        with self._lock:
            if self._read("crawlers", place, name) is not None:
                raise ServiceError("AlreadyExistsException", f"Crawler with name {name} already exists")
            now = self._now()
            crawler = {
                "Name": name,
                "SchemaChangePolicy": {
                    "UpdateBehavior": "UPDATE_IN_DATABASE",
                    "DeleteBehavior": "DEPRECATE_IN_DATABASE",
                },
                "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
                "LineageConfiguration": {"CrawlerLineageSettings": "DISABLE"},
                **{key: params[key] for key in DEFINITION if key in params},
                "State": "READY",
                "CreationTime": now,
                "LastUpdated": now,
                "CrawlElapsedTime": 0,
                "Version": 1,
            }
            crawler.setdefault("Classifiers", list[str]())
            if params.get("Schedule"):
                crawler["Schedule"] = {"ScheduleExpression": params["Schedule"], "State": "SCHEDULED"}
            self._write("crawlers", place, crawler, name)
            self._set_tags(place, "crawler", name, params.get("Tags"))
        self._reschedule()
        return {}

    def update_crawler(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if crawler["State"] != "READY":
                raise ServiceError(
                    "CrawlerRunningException", f"Crawler with name {name} is running: wait for it or stop it"
                )
            changed = {**crawler, **{key: params[key] for key in DEFINITION if key in params}}
            self._check_crawler(call, {**changed, "Schedule": params.get("Schedule")})
            if params.get("Schedule"):
                changed["Schedule"] = {"ScheduleExpression": params["Schedule"], "State": "SCHEDULED"}
            elif "Schedule" in params:
                changed.pop("Schedule", None)
            changed.update(LastUpdated=self._now(), Version=crawler["Version"] + 1)
            self._write("crawlers", place, changed, name)
        self._reschedule()
        return {}

    def _check_crawler(self, call: Call, params: Document) -> None:
        targets = params.get("Targets") or {}
        other = [kind for kind, entries in targets.items() if entries and kind not in ("S3Targets", "CatalogTargets")]
        if other:
            raise invalid(f"{', '.join(other)} cannot be crawled here: only S3Targets and CatalogTargets")
        if not any(targets.values()):
            raise invalid("Crawler targets are required: give S3Targets or CatalogTargets")
        for target in targets.get("S3Targets") or ():
            split_path(target["Path"])
            for pattern in target.get("Exclusions") or ():
                glob(pattern)
            if target.get("ConnectionName") or target.get("EventQueueArn"):
                raise invalid("S3 targets with ConnectionName or EventQueueArn are not supported here")
        if targets.get("S3Targets") and not params.get("DatabaseName"):
            raise invalid("DatabaseName is required for S3 targets")
        policy = params.get("SchemaChangePolicy") or {}
        if targets.get("CatalogTargets") and policy.get("DeleteBehavior", "DEPRECATE_IN_DATABASE") != "LOG":
            raise invalid("The SchemaChangePolicy of a crawler with CatalogTargets must have DeleteBehavior LOG")
        recrawl = (params.get("RecrawlPolicy") or {}).get("RecrawlBehavior", "CRAWL_EVERYTHING")
        if recrawl == "CRAWL_EVENT_MODE":
            raise invalid("CRAWL_EVENT_MODE is not supported here: use CRAWL_NEW_FOLDERS_ONLY")
        if recrawl == "CRAWL_NEW_FOLDERS_ONLY" and (policy.get("UpdateBehavior"), policy.get("DeleteBehavior")) != (
            "LOG",
            "LOG",
        ):
            raise invalid("CRAWL_NEW_FOLDERS_ONLY requires a SchemaChangePolicy of LOG and LOG")
        if params.get("Schedule"):
            cron.parse(params["Schedule"])
        _check_configuration(params.get("Configuration"))
        for name in params.get("Classifiers") or ():
            if self._read("classifiers", place_of(call), name) is None:
                raise invalid(f"The classifier {name!r} does not exist: create it first")
        hand_over(call, params["Role"])

    def delete_crawler(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if crawler["State"] != "READY":
                raise ServiceError("CrawlerRunningException", f"Crawler with name {name} is running: stop it first")
            self._remove("crawlers", place, name)
            self._remove("tags", place, "crawler", name)
            for crawl in self._all("crawls", place, name):
                self._remove("crawls", place, name, crawl["Key"])
        return {}

    def _shown(self, crawler: Document) -> Document:
        shown = dict(crawler)
        if crawler["State"] != "READY":
            shown["CrawlElapsedTime"] = int((self._now() - crawler["StartedOn"]).total_seconds() * 1000)
        for key in ("StartedOn", "CrawlId", "Workflow"):
            shown.pop(key, None)
        return shown

    def get_crawler(self, call: Call, params: Document) -> Document:
        return {"Crawler": self._shown(self._require("crawlers", "Crawler", place_of(call), params["Name"]))}

    def get_crawlers(self, call: Call, params: Document) -> Document:
        return paged([self._shown(crawler) for crawler in self._all("crawlers", place_of(call))], params, "Crawlers")

    def batch_get_crawlers(self, call: Call, params: Document) -> Document:
        found = {name: self._read("crawlers", place_of(call), name) for name in params["CrawlerNames"]}
        return {
            "Crawlers": [self._shown(crawler) for crawler in found.values() if crawler],
            "CrawlersNotFound": [name for name, crawler in found.items() if crawler is None],
        }

    def list_crawlers(self, call: Call, params: Document) -> Document:
        names = [crawler["Name"] for crawler in self._all("crawlers", place_of(call))]
        return paged(self._tagged(place_of(call), "crawler", names, params.get("Tags")), params, "CrawlerNames")

    def get_crawler_metrics(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        names = params.get("CrawlerNameList") or [crawler["Name"] for crawler in self._all("crawlers", place)]
        metrics = []
        for name in names:
            if self._read("crawlers", place, name) is None:
                continue
            done = [crawl for crawl in self._all("crawls", place, name) if "EndTime" in crawl]
            seconds = [(crawl["EndTime"] - crawl["StartTime"]).total_seconds() for crawl in done]
            last = done[-1]["Counts"] if done else [0, 0, 0]
            metrics.append(
                {
                    "CrawlerName": name,
                    "TimeLeftSeconds": 0.0,
                    "StillEstimating": not seconds,
                    "LastRuntimeSeconds": seconds[-1] if seconds else 0.0,
                    "MedianRuntimeSeconds": statistics.median(seconds) if seconds else 0.0,
                    "TablesCreated": last[0],
                    "TablesUpdated": last[1],
                    "TablesDeleted": last[2],
                }
            )
        return paged(metrics, params, "CrawlerMetricsList")

    def list_crawls(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["CrawlerName"]
        self._require("crawlers", "Crawler", place, name)
        if params.get("Filters"):
            raise invalid("Filters are not supported here: filter the list yourself")
        crawls = []
        for crawl in reversed(self._all("crawls", place, name)):
            shown = {key: value for key, value in crawl.items() if key not in ("Key", "Counts")}
            crawls.append({**shown, "LogGroup": LOG_GROUP, "LogStream": name, "MessagePrefix": crawl["CrawlId"]})
        return paged(crawls, params, "Crawls")

    # -- schedules -------------------------------------------------------------------------------------------------

    def update_crawler_schedule(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["CrawlerName"]
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if params.get("Schedule"):
                cron.parse(params["Schedule"])
                crawler["Schedule"] = {"ScheduleExpression": params["Schedule"], "State": "SCHEDULED"}
            else:
                crawler.pop("Schedule", None)
            self._write("crawlers", place, crawler, name)
        self._reschedule()
        return {}

    def start_crawler_schedule(self, call: Call, params: Document) -> Document:
        return self._switch_schedule(call, params["CrawlerName"], "SCHEDULED", "SchedulerRunningException")

    def stop_crawler_schedule(self, call: Call, params: Document) -> Document:
        return self._switch_schedule(call, params["CrawlerName"], "NOT_SCHEDULED", "SchedulerNotRunningException")

    def _switch_schedule(self, call: Call, name: str, state: str, already: str) -> Document:
        place = place_of(call)
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if "Schedule" not in crawler:
                raise ServiceError(
                    "NoScheduleException", f"Crawler {name} has no schedule: set one with UpdateCrawlerSchedule"
                )
            if crawler["Schedule"]["State"] == state:
                raise ServiceError(already, f"The schedule of crawler {name} is {state} already")
            crawler["Schedule"]["State"] = state
            self._write("crawlers", place, crawler, name)
        self._reschedule()
        return {}

    # -- runs ------------------------------------------------------------------------------------------------------

    def start_crawler(self, call: Call, params: Document) -> Document:
        self._start_crawler(place_of(call), params["Name"])
        return {}

    def _start_crawler(self, place: Place, name: str, workflow: Document | None = None) -> str:
        """Starts a crawl; `workflow` is `{"Name", "RunId", "Node"}` of the workflow run that asks. Gives the crawl's
        id.
        """
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if crawler["State"] != "READY":
                raise ServiceError("CrawlerRunningException", f"Crawler with name {name} has already started")
            crawl_id, now = str(uuid.uuid4()), self._now()
            # Keys sort by start.
            key = f"{now.timestamp():020.6f}-{crawl_id}"
            crawl = {
                "CrawlId": crawl_id,
                "Key": key,
                "State": "RUNNING",
                "StartTime": now,
                "Summary": "{}",
                "Counts": [0, 0, 0],
            }
            self._write("crawls", place, crawl, name, key)
            crawler.update(State="RUNNING", StartedOn=now, CrawlId=crawl_id)
            self._write("crawlers", place, {**crawler, **({"Workflow": workflow} if workflow else {})}, name)
        self._emit_crawl(place, name, state="Started", message="Crawler Started", outcome=Outcome(), seconds=0)
        self._crawl_pool.submit(self._crawl, place, name, crawl)
        return crawl_id

    def stop_crawler(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            crawler = self._require("crawlers", "Crawler", place, name)
            if crawler["State"] == "READY":
                raise ServiceError("CrawlerNotRunningException", f"Crawler with name {name} isn't running")
            if crawler["State"] == "STOPPING":
                raise ServiceError("CrawlerStoppingException", f"Crawler with name {name} is stopping already")
            crawler["State"] = "STOPPING"
            self._write("crawlers", place, crawler, name)
            self._cancelled.add(crawler["CrawlId"])
        return {}

    def _crawl(self, place: Place, name: str, crawl: Document) -> None:
        """The body of a crawl's thread: whatever happens, the crawler is READY afterwards and says how it went."""
        lines: list[str] = []

        def log(level: str, message: str) -> None:
            lines.append(f"[{crawl['CrawlId']}] {level} : {message}")
            if len(lines) >= 100:
                flush()

        def flush() -> None:
            if lines:
                self._home.log(*place, LOG_GROUP, name, list(lines))
                lines.clear()

        outcome, status, message = Outcome(), "SUCCEEDED", ""
        try:
            crawler = self._require("crawlers", "Crawler", place, name)
            log("BENCHMARK", f"Running Start Crawl for Crawler {name}")
            call = self._home.as_role(*place, role_arn(place, crawler["Role"]), SERVICE)
            classifiers = [
                self._require("classifiers", "Classifier", place, c) for c in crawler.get("Classifiers") or ()
            ]
            run = Crawl(
                self._home,
                crawler,
                call,
                classifiers=classifiers,
                log=log,
                stopping=lambda: crawl["CrawlId"] in self._cancelled,
            )
            outcome = run.outcome
            run.run()
            if outcome.skipped:
                message = (
                    f"{len(outcome.skipped)} problems in {outcome.objects} objects, the first: {outcome.skipped[0]}"
                )
        except Cancelled:
            status, message = "CANCELLED", "The crawler was stopped"
        except ServiceError as problem:
            status, message = "FAILED", f"{problem.code}: {problem.message}"
        except Exception as problem:
            status, message = "FAILED", f"Internal error of the crawler: {type(problem).__name__}: {problem}"
        if status != "SUCCEEDED":
            log("ERROR", message)
        log("BENCHMARK", f"Crawler {name} has finished: {status.lower()}, {outcome.objects} objects")
        flush()
        self._end_crawl(place, name, crawl, status=status, message=message, outcome=outcome)

    def _end_crawl(
        self, place: Place, name: str, crawl: Document, *, status: str, message: str, outcome: Outcome
    ) -> None:
        now = self._now()
        with self._lock:
            self._cancelled.discard(crawl["CrawlId"])
            crawler = self._read("crawlers", place, name)
            history = {"SUCCEEDED": "COMPLETED", "CANCELLED": "STOPPED", "FAILED": "FAILED"}[status]
            done = {**crawl, "State": history, "EndTime": now, "Summary": json.dumps(summary(outcome)), "DPUHour": 0.0}
            done["Counts"] = [len(outcome.created), len(outcome.updated), len(outcome.deleted)]
            if message:
                done["ErrorMessage"] = message[:2048]
            self._write("crawls", place, done, name, crawl["Key"])
            for old in self._all("crawls", place, name)[:-HISTORY]:
                self._remove("crawls", place, name, old["Key"])
            workflow = (crawler or {}).pop("Workflow", None)
            if crawler is not None:
                last = {
                    "Status": status,
                    "LogGroup": LOG_GROUP,
                    "LogStream": name,
                    "MessagePrefix": crawl["CrawlId"],
                    "StartTime": crawl["StartTime"],
                }
                crawler.update(
                    State="READY", LastCrawl={**last, **({"ErrorMessage": message[:2048]} if message else {})}
                )
                crawler.pop("StartedOn", None)
                crawler.pop("CrawlId", None)
                self._write("crawlers", place, crawler, name)
        seconds = (now - crawl["StartTime"]).total_seconds()
        ended = {"state": status.capitalize(), "message": message or "Crawler Succeeded"}
        self._emit_crawl(place, name, **ended, outcome=outcome, seconds=seconds)
        detail = {
            "State": status,
            "StartedOn": crawl["StartTime"],
            "CompletedOn": now,
            "LogGroup": LOG_GROUP,
            "LogStream": name,
        }
        self._ended(
            place, "CRAWLER", name, {**detail, **({"ErrorMessage": message[:2048]} if message else {})}, workflow
        )

    def _emit_crawl(
        self, place: Place, name: str, *, state: str, message: str, outcome: Outcome, seconds: float
    ) -> None:
        detail = {
            "accountId": place.account, "crawlerName": name, "state": state, "message": message,
            "runningTime (sec)": str(int(seconds)),
            "tablesCreated": str(len(outcome.created)), "tablesUpdated": str(len(outcome.updated)),
            "tablesDeleted": str(len(outcome.deleted)),
            "partitionsCreated": str(outcome.partitions_created), "partitionsUpdated": str(outcome.partitions_updated),
            "partitionsDeleted": str(outcome.partitions_deleted),
            "warningMessage": outcome.skipped[0] if outcome.skipped else "N/A",
            "completionDate": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip
        self._home.emit(*place, "aws.glue", "Glue Crawler State Change", detail)

    def _recover_crawlers(self) -> None:
        """After an unclean stop: what was running has failed."""
        for place, crawler in self._everywhere("crawlers"):
            if crawler["State"] == "READY":
                continue
            running = [c for c in self._all("crawls", place, crawler["Name"]) if c["State"] == "RUNNING"]
            crawl = (
                running[-1]
                if running
                else {"CrawlId": crawler["CrawlId"], "Key": crawler["CrawlId"], "StartTime": crawler["StartedOn"]}
            )
            self._end_crawl(place, crawler["Name"], crawl, status="FAILED", message=INTERRUPTED, outcome=Outcome())

    def _reschedule(self) -> None:
        raise NotImplementedError

    def _ended(self, place: Place, kind: str, name: str, detail: Document, workflow: Document | None) -> None:
        raise NotImplementedError

    def _scheduled_crawlers(self) -> list[tuple[Place, str, str]]:
        return [
            (place, crawler["Name"], crawler["Schedule"]["ScheduleExpression"])
            for place, crawler in self._everywhere("crawlers")
            if (crawler.get("Schedule") or {}).get("State") == "SCHEDULED"
        ]

    # -- classifiers -----------------------------------------------------------------------------------------------

    def create_classifier(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        kind, definition = _classifier(params)
        with self._lock:
            if self._read("classifiers", place, definition["Name"]) is not None:
                raise ServiceError(
                    "AlreadyExistsException", f"Classifier with name {definition['Name']} already exists"
                )
            self._write_classifier(place, kind, definition, self._now(), 1)
        return {}

    def update_classifier(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        kind, definition = _classifier(params)
        with self._lock:
            known = self._require("classifiers", "Classifier", place, definition["Name"])
            if kind not in known:
                raise invalid(f"Classifier {definition['Name']} is no {kind}")
            old = known[kind]
            self._write_classifier(place, kind, {**old, **definition}, old["CreationTime"], old["Version"] + 1)
        return {}

    def _write_classifier(self, place: Place, kind: str, definition: Document, created: datetime, version: int) -> None:
        stamped = {**definition, "CreationTime": created, "LastUpdated": self._now(), "Version": version}
        self._write("classifiers", place, {kind: stamped}, definition["Name"])

    def get_classifier(self, call: Call, params: Document) -> Document:
        return {"Classifier": self._require("classifiers", "Classifier", place_of(call), params["Name"])}

    def get_classifiers(self, call: Call, params: Document) -> Document:
        return paged(self._all("classifiers", place_of(call)), params, "Classifiers")

    def delete_classifier(self, call: Call, params: Document) -> Document:
        with self._lock:
            if self._read("classifiers", place_of(call), params["Name"]) is None:
                raise not_found("Classifier", params["Name"])
            self._remove("classifiers", place_of(call), params["Name"])
        return {}


def _classifier(params: Document) -> tuple[str, Document]:
    given = {kind: definition for kind, definition in params.items() if definition}
    if len(given) != 1:
        raise invalid("Give exactly one of CsvClassifier and JsonClassifier")
    ((kind, definition),) = given.items()
    if kind not in ("CsvClassifier", "JsonClassifier"):
        raise invalid(f"{kind} is not supported here: use CsvClassifier or JsonClassifier")
    return kind, definition


def _check_configuration(text: str | None) -> None:
    if not text:
        return
    try:
        configuration = json.loads(text)
    except json.JSONDecodeError as problem:
        raise invalid(f"The crawler's Configuration is not JSON: {problem}") from None
    if not isinstance(configuration, dict) or configuration.get("Version") != 1.0:
        raise invalid('The crawler\'s Configuration must be an object with "Version": 1.0')
    policy = (configuration.get("Grouping") or {}).get("TableGroupingPolicy", "CombineCompatibleSchemas")
    if policy != "CombineCompatibleSchemas":
        raise invalid(f"TableGroupingPolicy {policy!r} is unknown: CombineCompatibleSchemas is the only one")
    level = (configuration.get("Grouping") or {}).get("TableLevelConfiguration")
    if level is not None and (not isinstance(level, int) or level < 1):
        raise invalid(f"TableLevelConfiguration {level!r} must be a whole number from 1, the bucket")
