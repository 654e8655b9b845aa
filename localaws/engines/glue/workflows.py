"""Triggers and workflows, and the thread that fires schedules.

A firing that falls into a time when the emulator is down is not made up for: the next one comes at its own time.
Inside a workflow, a conditional trigger sees only the jobs and crawlers of the same workflow run, and fires once per
run.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from typing import Any

from localaws.engines.glue import cron
from localaws.engines.glue.crawlers import Crawlers
from localaws.engines.glue.jobs import ACTIVE, Jobs
from localaws.engines.glue.state import Place, invalid, new_id, not_found, paged, place_of
from localaws.home import Call, Document, ServiceError

TRIGGER = ("WorkflowName", "Type", "Schedule", "Predicate", "Actions", "Description", "EventBatchingCondition")
JOB_STATES = ("SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT")
CRAWL_STATES = ("SUCCEEDED", "CANCELLED", "FAILED")
WORKFLOW_HISTORY = 100
LONGEST_SLEEP = 3600.0
DEFAULT_WINDOW = 900


class Workflows(Crawlers, Jobs):
    """The trigger and workflow operations, and what jobs and crawlers report to when they end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._wake = threading.Condition(self._lock)
        self._due: dict[tuple[Place, str, str, str], datetime] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._schedule_loop, daemon=True, name="glue-schedule")

    # -- triggers --------------------------------------------------------------------------------------------------

    def create_trigger(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        definition = {key: params[key] for key in TRIGGER if params.get(key) is not None}
        self._check_trigger(place, name, definition)
        if params.get("StartOnCreation") and params["Type"] == "ON_DEMAND":
            raise invalid("StartOnCreation is not supported for ON_DEMAND triggers")
        with self._lock:
            if self._read("triggers", place, name) is not None:
                raise ServiceError("AlreadyExistsException", f"Trigger with name {name} already submitted")
            state = "ACTIVATED" if params.get("StartOnCreation") or params["Type"] == "EVENT" else "CREATED"
            self._write("triggers", place, {"Name": name, "Id": new_id("tr"), "State": state, **definition}, name)
            self._set_tags(place, "trigger", name, params.get("Tags"))
        self._reschedule()
        return {"Name": name}

    def update_trigger(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            trigger = self._require("triggers", "Trigger", place, name)
            changed = {
                **trigger,
                **{k: v for k, v in params["TriggerUpdate"].items() if k in TRIGGER and v is not None},
            }
            self._check_trigger(place, name, changed)
            changed.pop("Seen", None)
            self._write("triggers", place, changed, name)
        self._reschedule()
        return {"Trigger": _shown_trigger(changed)}

    def _check_trigger(self, place: Place, name: str, trigger: Document) -> None:
        kind, workflow = trigger["Type"], trigger.get("WorkflowName")
        if workflow and self._read("workflows", place, workflow) is None:
            raise not_found("Workflow", workflow)
        if kind == "SCHEDULED":
            if not trigger.get("Schedule"):
                raise invalid(f"Trigger {name} of type SCHEDULED needs a Schedule")
            cron.parse(trigger["Schedule"])
        elif trigger.get("Schedule"):
            raise invalid(f"Trigger {name} of type {kind} cannot have a Schedule")
        if kind == "EVENT" and not workflow:
            raise invalid(f"Trigger {name} of type EVENT must belong to a workflow")
        if not trigger.get("Actions"):
            raise invalid(f"Trigger {name} needs at least one action")
        for action in trigger["Actions"]:
            if bool(action.get("JobName")) == bool(action.get("CrawlerName")):
                raise invalid(f"Each action of trigger {name} names either a job or a crawler")
        conditions = (trigger.get("Predicate") or {}).get("Conditions") or []
        if kind == "CONDITIONAL" and not conditions:
            raise invalid(f"Trigger {name} of type CONDITIONAL needs a Predicate with Conditions")
        if kind != "CONDITIONAL" and conditions:
            raise invalid(f"Trigger {name} of type {kind} cannot have a Predicate")
        for condition in conditions:
            _check_condition(name, condition)
        if len(conditions) > 1 and not trigger["Predicate"].get("Logical"):
            raise invalid(f"Trigger {name} has several conditions: Predicate.Logical must be AND or ANY")
        if workflow and kind != "CONDITIONAL":
            others = [
                t["Name"]
                for t in self._all("triggers", place)
                if t.get("WorkflowName") == workflow and t["Type"] != "CONDITIONAL"
            ]
            if [other for other in others if other != name]:
                raise invalid(f"Workflow {workflow} has the starting trigger {others[0]} already")

    def delete_trigger(self, call: Call, params: Document) -> Document:
        with self._lock:
            self._remove("triggers", place_of(call), params["Name"])
            self._remove("tags", place_of(call), "trigger", params["Name"])
        self._reschedule()
        return {"Name": params["Name"]}

    def get_trigger(self, call: Call, params: Document) -> Document:
        return {"Trigger": _shown_trigger(self._require("triggers", "Trigger", place_of(call), params["Name"]))}

    def _dependent(self, call: Call, params: Document) -> list[Document]:
        """The triggers; with `DependentJobName` those that start this job."""
        place, job = place_of(call), params.get("DependentJobName")
        if job and self._read("jobs", place, job) is None:
            raise not_found("Job", job)
        return [
            t for t in self._all("triggers", place) if not job or any(a.get("JobName") == job for a in t["Actions"])
        ]

    def get_triggers(self, call: Call, params: Document) -> Document:
        return paged([_shown_trigger(trigger) for trigger in self._dependent(call, params)], params, "Triggers")

    def list_triggers(self, call: Call, params: Document) -> Document:
        names = [trigger["Name"] for trigger in self._dependent(call, params)]
        return paged(self._tagged(place_of(call), "trigger", names, params.get("Tags")), params, "TriggerNames")

    def batch_get_triggers(self, call: Call, params: Document) -> Document:
        found = {name: self._read("triggers", place_of(call), name) for name in params["TriggerNames"]}
        return {
            "Triggers": [_shown_trigger(trigger) for trigger in found.values() if trigger],
            "TriggersNotFound": [name for name, trigger in found.items() if trigger is None],
        }

    def start_trigger(self, call: Call, params: Document) -> Document:
        """Fires an ON_DEMAND trigger; activates any other."""
        place, name = place_of(call), params["Name"]
        with self._lock:
            trigger = self._require("triggers", "Trigger", place, name)
            if trigger["Type"] == "ON_DEMAND":
                self._fire(place, trigger)
            else:
                self._write("triggers", place, {**trigger, "State": "ACTIVATED"}, name)
        self._reschedule()
        return {"Name": name}

    def stop_trigger(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            trigger = self._require("triggers", "Trigger", place, name)
            if trigger["Type"] == "ON_DEMAND":
                raise invalid(f"Trigger {name} is ON_DEMAND: there is nothing to stop")
            self._write("triggers", place, {**trigger, "State": "DEACTIVATED"}, name)
        self._reschedule()
        return {"Name": name}

    def _fire(self, place: Place, trigger: Document, predecessors: list[Document] | None = None) -> None:
        """Starts a trigger's workflow, or its actions. Raises the first error only after all actions were tried."""
        if trigger.get("WorkflowName"):
            self._start_workflow(place, trigger["WorkflowName"], {})
            return
        first: ServiceError | None = None
        for action in trigger["Actions"]:
            try:
                self._start_action(place, action, trigger["Name"], None, predecessors)
            except ServiceError as problem:
                first = first or problem
        if first is not None:
            raise first

    def _start_action(
        self,
        place: Place,
        action: Document,
        trigger: str,
        workflow: Document | None,
        predecessors: list[Document] | None,
    ) -> str:
        if action.get("CrawlerName"):
            return self._start_crawler(place, action["CrawlerName"], workflow)
        params = {
            key: action[key]
            for key in ("JobName", "Arguments", "Timeout", "SecurityConfiguration", "NotificationProperty")
            if key in action
        }
        return self._start_job_run(place, params, trigger=trigger, workflow=workflow, predecessors=predecessors)

    # -- workflows -------------------------------------------------------------------------------------------------

    def create_workflow(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            if self._read("workflows", place, name) is not None:
                raise ServiceError("AlreadyExistsException", f"Workflow with name {name} already exists")
            now = self._now()
            keys = ("Description", "DefaultRunProperties", "MaxConcurrentRuns")
            workflow = {
                "Name": name,
                **{k: params[k] for k in keys if params.get(k) is not None},
                "CreatedOn": now,
                "LastModifiedOn": now,
            }
            self._write("workflows", place, workflow, name)
            self._set_tags(place, "workflow", name, params.get("Tags"))
        return {"Name": name}

    def update_workflow(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        with self._lock:
            workflow = self._require("workflows", "Workflow", place, name)
            keys = ("Description", "DefaultRunProperties", "MaxConcurrentRuns")
            changed = {k: params[k] for k in keys if params.get(k) is not None}
            self._write("workflows", place, {**workflow, **changed, "LastModifiedOn": self._now()}, name)
        return {"Name": name}

    def delete_workflow(self, call: Call, params: Document) -> Document:
        """Removes the workflow, its runs and its triggers; jobs and crawlers stay."""
        place, name = place_of(call), params["Name"]
        with self._lock:
            for trigger in self._all("triggers", place):
                if trigger.get("WorkflowName") == name:
                    self._remove("triggers", place, trigger["Name"])
            for run in self._all("workflow_runs", place, name):
                self._remove("workflow_runs", place, name, run["WorkflowRunId"])
            self._remove("workflows", place, name)
            self._remove("tags", place, "workflow", name)
        self._reschedule()
        return {"Name": name}

    def get_workflow(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        workflow = self._require("workflows", "Workflow", place, params["Name"])
        return {"Workflow": self._shown_workflow(place, workflow, graph=bool(params.get("IncludeGraph")))}

    def _shown_workflow(self, place: Place, workflow: Document, *, graph: bool) -> Document:
        shown = dict(workflow)
        runs = self._runs(place, workflow["Name"])
        if runs:
            shown["LastRun"] = self._shown_workflow_run(place, runs[0], graph=graph)
        if graph:
            nodes, edges = self._graph(place, workflow["Name"])
            shown["Graph"] = self._shown_graph(place, {"Nodes": nodes, "Edges": edges})
        return shown

    def list_workflows(self, call: Call, params: Document) -> Document:
        return paged([workflow["Name"] for workflow in self._all("workflows", place_of(call))], params, "Workflows")

    def batch_get_workflows(self, call: Call, params: Document) -> Document:
        place, graph = place_of(call), bool(params.get("IncludeGraph"))
        found = {name: self._read("workflows", place, name) for name in params["Names"]}
        return {
            "Workflows": [
                self._shown_workflow(place, workflow, graph=graph) for workflow in found.values() if workflow
            ],
            "MissingWorkflows": [name for name, workflow in found.items() if workflow is None],
        }

    # -- workflow runs ---------------------------------------------------------------------------------------------

    def start_workflow_run(self, call: Call, params: Document) -> Document:
        return {"RunId": self._start_workflow(place_of(call), params["Name"], params.get("RunProperties") or {})}

    def _start_workflow(self, place: Place, name: str, properties: Document, batch: Document | None = None) -> str:
        with self._lock:
            workflow = self._require("workflows", "Workflow", place, name)
            limit = workflow.get("MaxConcurrentRuns")
            active = [run for run in self._runs(place, name) if run["Status"] in ("RUNNING", "STOPPING")]
            if limit and len(active) >= limit:
                raise ServiceError(
                    "ConcurrentRunsExceededException", f"Workflow {name} has {len(active)} of {limit} runs in progress"
                )
            nodes, edges = self._graph(place, name)
            if not any(node["Type"] == "TRIGGER" and node["Trigger"]["Type"] != "CONDITIONAL" for node in nodes):
                raise invalid(f"Workflow {name} has no starting trigger: add one of type ON_DEMAND, SCHEDULED or EVENT")
            run = {
                "Name": name,
                "WorkflowRunId": new_id("wr"),
                "WorkflowRunProperties": {**(workflow.get("DefaultRunProperties") or {}), **properties},
                "StartedOn": self._now(),
                "Status": "RUNNING",
                "Nodes": nodes,
                "Edges": edges,
                **({"StartingEventBatchCondition": batch} if batch else {}),
            }
            self._save_run(place, run)
            for old in self._runs(place, name)[WORKFLOW_HISTORY:]:
                self._remove("workflow_runs", place, name, old["WorkflowRunId"])
            start = next(n for n in nodes if n["Type"] == "TRIGGER" and n["Trigger"]["Type"] != "CONDITIONAL")
            self._fire_node(place, run, start)
            self._advance(place, run)
        return str(run["WorkflowRunId"])

    def _graph(self, place: Place, name: str) -> tuple[list[Document], list[Document]]:
        """Nodes and edges of a workflow as its triggers stand now."""
        nodes: dict[str, Document] = {}
        edges: list[Document] = []

        def node(kind: str, node_name: str, **more: Any) -> str:
            unique = "wnode_" + hashlib.sha256("/".join((*place, name, kind, node_name)).encode()).hexdigest()
            nodes.setdefault(
                unique, {"Type": kind, "Name": node_name, "UniqueId": unique, "State": "", "Runs": []}
            ).update(more)
            return unique

        for trigger in self._all("triggers", place):
            if trigger.get("WorkflowName") != name:
                continue
            here = node("TRIGGER", trigger["Name"], Trigger=_shown_trigger(trigger))
            conditions = (trigger.get("Predicate") or {}).get("Conditions") or ()
            edges += [{"SourceId": here, "DestinationId": _node_of(action, node)} for action in trigger["Actions"]]
            edges += [{"SourceId": _node_of(condition, node), "DestinationId": here} for condition in conditions]
        return list(nodes.values()), edges

    def _fire_node(self, place: Place, run: Document, node: Document) -> None:
        """Starts the actions of a trigger in a run. What cannot start is an errored action, not the end of the run."""
        node["State"] = "FIRED"
        predecessors = [
            {"JobName": other["Name"], "RunId": other["Runs"][-1]}
            for other in run["Nodes"]
            if other["Type"] == "JOB"
            and other["Runs"]
            and {"SourceId": other["UniqueId"], "DestinationId": node["UniqueId"]} in run["Edges"]
        ]
        for action in node["Trigger"]["Actions"]:
            kind, name = ("CRAWLER", action["CrawlerName"]) if action.get("CrawlerName") else ("JOB", action["JobName"])
            target = next(n for n in run["Nodes"] if (n["Type"], n["Name"]) == (kind, name))
            self._start_node(place, run, target, action=action, trigger=node["Name"], predecessors=predecessors)

    def _start_node(
        self,
        place: Place,
        run: Document,
        target: Document,
        *,
        action: Document,
        trigger: str,
        predecessors: list[Document],
    ) -> None:
        # The run is saved first: a very quick action reports its end to the saved one.
        origin = {"Name": run["Name"], "RunId": run["WorkflowRunId"], "Node": target["UniqueId"]}
        try:
            started = self._start_action(place, action, trigger, origin, predecessors)
        except ServiceError as problem:
            target.update(State="ERROR", ErrorMessage=f"{problem.code}: {problem.message}")
            self._save_run(place, run)
            return
        target["State"] = "RUNNING"
        target["Action"], target["Trigger"] = action, trigger
        target["Runs"].append(started)
        self._save_run(place, run)

    def _advance(self, place: Place, run: Document) -> None:
        """Fires the conditional triggers that are met now; ends the run when nothing is left to wait for."""
        fired = run["Status"] == "RUNNING"
        while fired:
            fired = False
            for node in run["Nodes"]:
                if node["Type"] != "TRIGGER" or node["State"] or node["Trigger"]["Type"] != "CONDITIONAL":
                    continue
                trigger = self._read("triggers", place, node["Name"])
                if trigger is None or trigger["State"] != "ACTIVATED":
                    continue
                states = {(n["Type"], n["Name"]): n["State"] for n in run["Nodes"]}
                if _met(node["Trigger"]["Predicate"], states):
                    self._fire_node(place, run, node)
                    fired = True
        if not any(node["State"] == "RUNNING" for node in run["Nodes"]):
            run.update(Status="STOPPED" if run["Status"] == "STOPPING" else "COMPLETED", CompletedOn=self._now())
        self._save_run(place, run)

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def _ended(self, place: Place, kind: str, name: str, detail: Document, workflow: Document | None) -> None:
        """A job or crawler has ended: goes on with its workflow run, or with triggers outside of workflows."""
        with self._lock:
            if self._closing:
                return  # the next start finds how the action ended and goes on
            if workflow:
                run = self._read("workflow_runs", place, workflow["Name"], workflow["RunId"])
                if run is None:
                    return
                for node in run["Nodes"]:
                    if node["UniqueId"] == workflow["Node"]:
                        node["State"] = detail["State"]
                        node["Detail"] = detail
                        if detail.get("RunId") and detail["RunId"] not in node["Runs"]:
                            node["Runs"].append(detail["RunId"])  # a retry has an id of its own
                self._advance(place, run)
                return
            for trigger in self._all("triggers", place):
                if (
                    trigger["Type"] == "CONDITIONAL"
                    and trigger["State"] == "ACTIVATED"
                    and not trigger.get("WorkflowName")
                ):
                    self._observe(place, trigger, kind, name, detail)

    def _observe(self, place: Place, trigger: Document, kind: str, name: str, detail: Document) -> None:
        """A conditional trigger outside of workflows collects ends until its predicate is met. As on AWS, only runs
        that a
        trigger started count for jobs.
        """
        if kind == "JOB" and not detail.get("Trigger"):
            return
        watched = {_watched(condition) for condition in trigger["Predicate"]["Conditions"]}
        if (kind, name) not in watched:
            return
        seen = {**(trigger.get("Seen") or {}), f"{kind}/{name}": detail["State"]}
        states = {(key.partition("/")[0], key.partition("/")[2]): state for key, state in seen.items()}
        met = _met(trigger["Predicate"], states)
        self._write("triggers", place, {**trigger, "Seen": {} if met else seen}, trigger["Name"])
        if met:
            predecessors = [{"JobName": name, "RunId": detail["RunId"]}] if kind == "JOB" else None
            try:
                self._fire(place, trigger, predecessors)
            except ServiceError as problem:
                self._home.log(*place, "/aws-glue/triggers", trigger["Name"], [f"{problem.code}: {problem.message}"])

    def stop_workflow_run(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        with self._lock:
            run = self._workflow_run(place, params)
            if run["Status"] != "RUNNING":
                raise ServiceError(
                    "IllegalWorkflowStateException", f"Workflow run {params['RunId']} is {run['Status']}"
                )
            run["Status"] = "STOPPING"
            self._save_run(place, run)
            for node in run["Nodes"]:
                if node["State"] != "RUNNING":
                    continue
                if node["Type"] == "JOB":
                    for job_run in self._all("job_runs", place, node["Name"]):
                        if (job_run.get("Workflow") or {}).get("RunId") == run["WorkflowRunId"] and job_run[
                            "JobRunState"
                        ] in ("STARTING", "RUNNING"):
                            self._stop_run(place, job_run)
                else:
                    crawler = self._read("crawlers", place, node["Name"])
                    if crawler and crawler["State"] == "RUNNING":
                        self.stop_crawler(call, {"Name": node["Name"]})
            self._advance(place, run)
        return {}

    def resume_workflow_run(self, call: Call, params: Document) -> Document:
        """A new run that keeps what the old one finished, restarts the given nodes, and goes on from there."""
        place = place_of(call)
        with self._lock:
            old = self._workflow_run(place, params)
            if old["Status"] in ("RUNNING", "STOPPING"):
                raise ServiceError(
                    "IllegalWorkflowStateException", f"Workflow run {params['RunId']} is {old['Status']}"
                )
            by_id = {node["UniqueId"]: node for node in old["Nodes"]}
            wanted = params["NodeIds"]
            wrong = [i for i in wanted if i not in by_id or by_id[i]["Type"] == "TRIGGER" or not by_id[i].get("Action")]
            if wrong or not wanted:
                raise invalid(f"NodeIds {wrong} are no jobs or crawlers that ran in this workflow run")
            again = _downstream(wanted, old["Edges"])
            nodes: list[Document] = [
                {**node, "State": "", "Runs": []} if node["UniqueId"] in again else node for node in old["Nodes"]
            ]
            run: Document = {
                **{key: old[key] for key in ("Name", "WorkflowRunProperties", "Edges")},
                "WorkflowRunId": new_id("wr"),
                "PreviousRunId": old["WorkflowRunId"],
                "StartedOn": self._now(),
                "Status": "RUNNING",
                "Nodes": nodes,
            }
            self._save_run(place, run)
            for node in nodes:
                if node["UniqueId"] in wanted:
                    self._start_node(place, run, node, action=node["Action"], trigger=node["Trigger"], predecessors=[])
            self._advance(place, run)
        return {"RunId": run["WorkflowRunId"], "NodeIds": wanted}

    def _runs(self, place: Place, name: str) -> list[Document]:
        return sorted(self._all("workflow_runs", place, name), key=lambda run: run["StartedOn"], reverse=True)

    def _save_run(self, place: Place, run: Document) -> None:
        self._write("workflow_runs", place, run, run["Name"], run["WorkflowRunId"])

    def _workflow_run(self, place: Place, params: Document) -> Document:
        self._require("workflows", "Workflow", place, params["Name"])
        run = self._read("workflow_runs", place, params["Name"], params["RunId"])
        if run is None:
            raise ServiceError(
                "EntityNotFoundException", f"Workflow run {params['RunId']} of workflow {params['Name']} not found."
            )
        return run

    def get_workflow_run(self, call: Call, params: Document) -> Document:
        run = self._workflow_run(place_of(call), params)
        return {"Run": self._shown_workflow_run(place_of(call), run, graph=bool(params.get("IncludeGraph")))}

    def get_workflow_runs(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        self._require("workflows", "Workflow", place, params["Name"])
        page = paged(self._runs(place, params["Name"]), params, "Runs")
        page["Runs"] = [
            self._shown_workflow_run(place, run, graph=bool(params.get("IncludeGraph"))) for run in page["Runs"]
        ]
        return page

    def get_workflow_run_properties(self, call: Call, params: Document) -> Document:
        return {"RunProperties": self._workflow_run(place_of(call), params)["WorkflowRunProperties"]}

    def put_workflow_run_properties(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        with self._lock:
            run = self._workflow_run(place, params)
            run["WorkflowRunProperties"] = {**run["WorkflowRunProperties"], **params["RunProperties"]}
            self._save_run(place, run)
        return {}

    def _shown_workflow_run(self, place: Place, run: Document, *, graph: bool) -> Document:
        shown = {key: value for key, value in run.items() if key not in ("Nodes", "Edges")}
        states = [node["State"] for node in run["Nodes"] if node["Type"] != "TRIGGER"]
        counted = {
            "SucceededActions": ("SUCCEEDED",), "FailedActions": ("FAILED",), "TimeoutActions": ("TIMEOUT",),
            "StoppedActions": ("STOPPED", "CANCELLED"),
            "RunningActions": ("RUNNING",), "ErroredActions": ("ERROR",), "WaitingActions": ("WAITING",),
        }  # fmt: skip
        shown["Statistics"] = {
            "TotalActions": len(states),
            **{k: sum(s in of for s in states) for k, of in counted.items()},
        }
        if graph:
            shown["Graph"] = self._shown_graph(place, run)
        return shown

    def _shown_graph(self, place: Place, run: Document) -> Document:
        nodes = []
        for node in run["Nodes"]:
            shown: Document = {key: node[key] for key in ("Type", "Name", "UniqueId")}
            if node["Type"] == "TRIGGER":
                shown["TriggerDetails"] = {"Trigger": node["Trigger"]}
            elif node["Type"] == "JOB":
                runs = [self._read("job_runs", place, node["Name"], run_id) for run_id in node["Runs"]]
                shown["JobDetails"] = {"JobRuns": [self._shown_run(found) for found in runs if found]}
            else:
                detail = node.get("Detail") or ({"State": "RUNNING"} if node["State"] == "RUNNING" else None)
                if node["State"] == "ERROR":
                    detail = {"State": "ERROR", "ErrorMessage": node.get("ErrorMessage", "")}
                shown["CrawlerDetails"] = {"Crawls": [detail] if detail and node["State"] else []}
            nodes.append(shown)
        return {"Nodes": nodes, "Edges": run["Edges"]}

    # -- events ----------------------------------------------------------------------------------------------------

    def notify_event(self, call: Call, params: Document) -> Document:
        """What an EventBridge rule with a workflow as target calls (`glue:notifyEvent`; not an operation of the SDKs).

        Args:
            call: of the rule's role.
            params: `{"WorkflowName", "EventId"}`.
        """
        place, name = place_of(call), params["WorkflowName"]
        with self._lock:
            self._require("workflows", "Workflow", place, name)
            trigger = next(
                (t for t in self._all("triggers", place) if t.get("WorkflowName") == name and t["Type"] == "EVENT"),
                None,
            )
            if trigger is None:
                raise invalid(f"Workflow {name} has no EVENT trigger")
            if trigger["State"] != "ACTIVATED":
                return {}
            events = [*(trigger.get("Events") or []), params["EventId"]]
            first = trigger.get("FirstEvent") or self._now()
            self._write("triggers", place, {**trigger, "Events": events, "FirstEvent": first}, trigger["Name"])
            size = (trigger.get("EventBatchingCondition") or {}).get("BatchSize", 1)
            if len(events) >= size:
                self._fire_events(place, trigger["Name"])
        self._reschedule()
        return {}

    def _fire_events(self, place: Place, name: str) -> None:
        trigger = self._require("triggers", "Trigger", place, name)
        events = trigger.pop("Events", [])
        trigger.pop("FirstEvent", None)
        self._write("triggers", place, trigger, name)
        condition = trigger.get("EventBatchingCondition") or {"BatchSize": 1}
        batch = {"BatchSize": len(events), "BatchWindow": condition.get("BatchWindow", DEFAULT_WINDOW)}
        self._start_workflow(place, trigger["WorkflowName"], {"aws:eventIds": f"[{', '.join(events)}]"}, batch)

    # -- time ------------------------------------------------------------------------------------------------------

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def _reschedule(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _schedule_loop(self) -> None:
        while True:
            with self._wake:
                if self._closing:
                    return
                due = self._tick()
                pause = LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, max(0.0, due.timestamp() - self._clock()))
                self._wake.wait(pause)

    def _tick(self) -> datetime | None:
        """Fires what is due now; when something is due next."""
        now = self._now()
        with self._lock:
            scheduled = [(place, "crawler", name, text) for place, name, text in self._scheduled_crawlers()]
            triggers = self._everywhere("triggers")
            scheduled += [
                (p, "trigger", t["Name"], t["Schedule"])
                for p, t in triggers
                if t["Type"] == "SCHEDULED" and t["State"] == "ACTIVATED"
            ]
            for gone in self._due.keys() - set(scheduled):
                del self._due[gone]
            for entry in scheduled:
                place, kind, name, text = entry
                if entry in self._due and self._due[entry] <= now:
                    self._fire_scheduled(place, kind, name)
                    del self._due[entry]
                if entry not in self._due:
                    following = cron.parse(text).after(now)
                    if following is not None:
                        self._due[entry] = following
            times = list(self._due.values())
            for place, trigger in triggers:
                if trigger.get("Events"):
                    window = (trigger.get("EventBatchingCondition") or {}).get("BatchWindow", DEFAULT_WINDOW)
                    end = datetime.fromtimestamp(trigger["FirstEvent"].timestamp() + window, UTC)
                    if end <= now:
                        self._fire_events(place, trigger["Name"])
                    else:
                        times.append(end)
            return min(times, default=None)

    def _fire_scheduled(self, place: Place, kind: str, name: str) -> None:
        """A firing that cannot start (it runs already, a role is missing) is logged and does not end the schedule."""
        try:
            if kind == "crawler":
                self._start_crawler(place, name)
            else:
                self._fire(place, self._require("triggers", "Trigger", place, name))
        except ServiceError as problem:
            self._home.log(*place, f"/aws-glue/{kind}s", name, [f"{problem.code}: {problem.message}"])

    def _recover_workflows(self) -> None:
        """Runs whose actions ended while nobody listened go on."""
        for place, run in self._everywhere("workflow_runs"):
            if run["Status"] not in ("RUNNING", "STOPPING"):
                continue
            for node in run["Nodes"]:
                if node["State"] == "RUNNING":
                    node["State"] = self._state_reached(place, node)
            self._advance(place, run)

    def _state_reached(self, place: Place, node: Document) -> str:
        """How a node's job or crawler stands, by its own records."""
        if node["Type"] == "CRAWLER":
            crawler = self._read("crawlers", place, node["Name"]) or {}
            running = crawler.get("State", "READY") != "READY"
            return "RUNNING" if running else str((crawler.get("LastCrawl") or {}).get("Status", "FAILED"))
        state = str((self._read("job_runs", place, node["Name"], node["Runs"][-1]) or {}).get("JobRunState", "FAILED"))
        return "RUNNING" if state in ACTIVE else state


def _shown_trigger(trigger: Document) -> Document:
    return {key: value for key, value in trigger.items() if key not in ("Seen", "Events", "FirstEvent")}


def _watched(condition: Document) -> tuple[str, str]:
    return ("CRAWLER", condition["CrawlerName"]) if condition.get("CrawlerName") else ("JOB", condition["JobName"])


def _node_of(reference: Document, node: Any) -> str:
    return str(node(*_watched(reference)))


def _check_condition(name: str, condition: Document) -> None:
    if bool(condition.get("JobName")) == bool(condition.get("CrawlerName")):
        raise invalid(f"Each condition of trigger {name} names either a job or a crawler")
    if condition.get("LogicalOperator", "EQUALS") != "EQUALS":
        raise invalid(
            f"Trigger {name}: LogicalOperator {condition['LogicalOperator']!r} is unknown, EQUALS is the only one"
        )
    if condition.get("JobName") and condition.get("State") not in JOB_STATES:
        raise invalid(f"Trigger {name}: State {condition.get('State')!r} must be one of {', '.join(JOB_STATES)}")
    if condition.get("CrawlerName") and condition.get("CrawlState") not in CRAWL_STATES:
        raise invalid(
            f"Trigger {name}: CrawlState {condition.get('CrawlState')!r} must be one of {', '.join(CRAWL_STATES)}"
        )


def _met(predicate: Document, states: dict[tuple[str, str], str]) -> bool:
    results = [states.get(_watched(c)) == (c.get("CrawlState") or c.get("State")) for c in predicate["Conditions"]]
    return any(results) if predicate.get("Logical") == "ANY" else all(results)


def _downstream(start: list[str], edges: list[Document]) -> set[str]:
    found, pending = set(start), list(start)
    while pending:
        here = pending.pop()
        for edge in edges:
            if edge["SourceId"] == here and edge["DestinationId"] not in found:
                found.add(edge["DestinationId"])
                pending.append(edge["DestinationId"])
    return found
