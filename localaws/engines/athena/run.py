"""Runs one statement, whatever it is."""

from __future__ import annotations

import re
import time

import duckdb

from localaws.engines.athena import ddl, writing
from localaws.engines.athena import statements as st
from localaws.engines.athena.errors import Cancelled, SqlError, from_duckdb
from localaws.engines.athena.execution import (
    Outcome,
    Run,
    explain,
    select,
)
from localaws.home import ServiceError


def run_statement(run: Run, sql: str) -> Outcome:
    """Runs one statement.

    Raises:
        SqlError: why it failed, worded as Athena words it.
        Cancelled: it was stopped, or went over the workgroup's limit of scanned bytes.
    """
    statement = st.parse(sql)
    if isinstance(statement, st.Execute):
        run.permit("athena:GetPreparedStatement", run.prepared.arn)
        sql = st.fill_parameters(run.prepared.text(statement.name), statement.arguments)
        statement = st.parse(sql)
        if isinstance(statement, (st.Execute, st.Prepare, st.Deallocate)):
            raise SqlError("NOT_SUPPORTED", "A prepared statement cannot manage prepared statements")
    run.cursor = run.engine.connection.cursor()
    run.planned = time.monotonic()
    try:
        run.check()
        return _dispatch(run, statement)
    except duckdb.InterruptException as error:
        run.check()
        raise Cancelled("Query cancelled by user") from error
    except duckdb.Error as error:
        run.check()
        raise from_duckdb(error) from error
    except ServiceError as error:
        raise SqlError(_code(error.code), error.message) from error
    finally:
        run.cursor.close()


def _code(name: str) -> str:
    """`EntityNotFoundException` → ENTITY_NOT_FOUND."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Exception")).upper()


def _dispatch(run: Run, statement: st.Statement) -> Outcome:
    match statement:
        case st.Query():
            return select(run, statement.sql)
        case st.Explain():
            return explain(run, statement.sql)
        case st.CreateTableAs():
            return writing.create_table_as(run, statement)
        case st.Insert():
            return writing.insert(run, statement)
        case st.Unload():
            return writing.unload(run, statement)
        case st.CreateView():
            return ddl.create_view(run, statement)
        case st.CreateTable():
            return ddl.create_table(run, statement)
        case st.CreateDatabase():
            return ddl.create_database(run, statement)
        case st.Drop():
            return ddl.drop(run, statement)
        case st.Show():
            return ddl.show(run, statement)
        case st.Describe():
            return ddl.describe(run, statement.name)
        case st.Repair():
            return ddl.repair(run, statement.name)
        case st.AlterTable():
            return ddl.alter(run, statement)
        case st.Prepare():
            run.prepared.set(statement.name, statement.sql)
            return Outcome(lines=[])
        case st.Deallocate():
            run.prepared.delete(statement.name)
            return Outcome(lines=[])
    raise SqlError("NOT_SUPPORTED", f"{type(statement).__name__} is not supported by this engine")
