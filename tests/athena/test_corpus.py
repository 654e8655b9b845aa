"""Parity with Athena: every case of corpus.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from localaws.home import ServiceError

_spec = importlib.util.spec_from_file_location("athena_corpus", Path(__file__).with_name("corpus.py"))
corpus = importlib.util.module_from_spec(_spec)
sys.modules["athena_corpus"] = corpus
_spec.loader.exec_module(corpus)


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: " ".join(case.sql.split())[:70])
def test_case(lake, case):
    answer = lake.run(case.sql)
    if isinstance(case, corpus.Failure):
        assert answer.state == "FAILED", answer.rows
        assert case.reason in answer.reason
        assert answer.execution["Status"]["AthenaError"]["ErrorCategory"] == 2
        return
    assert answer.state == "SUCCEEDED", answer.reason
    assert answer.rows == case.rows
    if case.columns:
        assert answer.columns == case.columns.split()
    if case.types:
        assert " ".join(answer.types) == case.types


@pytest.mark.parametrize("sql", corpus.REFUSED)
def test_what_is_no_athena_sql_is_refused_at_once(lake, sql):
    with pytest.raises(ServiceError) as refused:
        lake.start(sql)
    assert refused.value.code == "InvalidRequestException"


def test_the_corpus_is_large_and_has_failures():
    assert len(corpus.CASES) >= 80
    assert sum(isinstance(case, corpus.Failure) for case in corpus.CASES) >= 25
