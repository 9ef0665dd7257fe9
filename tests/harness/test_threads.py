"""One thread unless somebody wished otherwise; whatever holds is recorded, and given back."""

from collections.abc import Iterator

import pytest
import torch
from plugin_toys import check, furnish, report
from toy_claims import HOLDS
from toy_encoders import Meter

from testtone.models.threads import WISHES, held
from testtone.reports.compare import compare
from testtone.tests.check import check as check_one


@pytest.fixture(autouse=True)
def _three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that computes with three threads, by nobody's wish."""
    for name in WISHES:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_unless_told() -> None:
    with held() as threads:
        assert (threads, torch.get_num_threads()) == (1, 1)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("name", WISHES)
def test_the_environment_is_a_wish(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    with held() as threads:
        assert threads == 3


def test_a_number_is_a_wish_above_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WISHES[0], "3")
    with held(2) as threads:
        assert threads == 2


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), held():
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2"])
def test_no_number_of_threads(threads: object) -> None:
    with pytest.raises(ValueError, match=r"threads=.* must be a whole number, 1 or more"), held(threads):
        pass


@pytest.mark.parametrize(("options", "threads"), [((), 1), (("--claims-threads=2",), 2)])
def test_a_run_holds_its_threads_and_says_how_many(
    pytester: pytest.Pytester, options: tuple[str, ...], threads: int
) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open", *options)
    found = report(pytester)
    assert found["environment"]["threads"] == threads
    assert ("--claims-threads 2" in found["claims"][0]["rerun"]) == bool(options)
    assert torch.get_num_threads() == 3


def test_a_check_in_python_holds_them_too(pytester: pytest.Pytester) -> None:
    seen = []

    class Watching(Meter):
        def listen(self, waveforms):
            seen.append(torch.get_num_threads())
            return super().listen(waveforms)

    furnish(pytester)
    result = check_one(HOLDS, Watching(), effort="quick")
    assert set(seen) == {1}
    assert result.report["environment"]["threads"] == 1
    assert torch.get_num_threads() == 3


SHARE_OF_INTERVAL = 0.01
"""How far effects may lie apart where other numbers of threads do the same sums, in widths of their interval."""


@pytest.mark.parametrize("claim", ["first_layer_isolates", "stack_end_selectivity"])
def test_other_numbers_of_threads_give_the_same_verdict_and_nearly_the_same_number(claim: str) -> None:
    reports = [check_one(claim, "encodec-mini", effort="quick", threads=threads).report for threads in (1, 2)]
    assert [report["environment"]["threads"] for report in reports] == [1, 2]
    found = compare(reports, names=["one", "two"])
    assert not found.flipped
    assert found.farthest.moved <= SHARE_OF_INTERVAL
