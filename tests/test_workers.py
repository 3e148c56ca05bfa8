"""Work on several cores: nothing lost, order kept, errors passed on."""

import threading

import pytest

from mcpbayes import workers
from mcpbayes.workers import in_threads


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("items", [0, 1, 5, 40])
def test_every_item_once_and_in_order(monkeypatch, cores, items):
    monkeypatch.setattr(workers, "cores", lambda: cores)
    assert list(in_threads(lambda i: i * i, iter(range(items)))) == [i * i for i in range(items)]


def test_items_are_taken_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)
    taken = []
    results = in_threads(lambda i: i, (taken.append(i) or i for i in range(100)))
    assert next(results) == 0
    assert len(taken) <= 6


def test_several_threads_work(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)
    meet = threading.Barrier(2, timeout=10)
    assert len(list(in_threads(lambda _: meet.wait(), range(2)))) == 2


def test_an_error_comes_through(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda i: 1 // (i - 3), range(10)))


def test_the_pieces_of_a_worker_stay_with_it(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)

    def piece(_):
        return {threading.get_ident(), *in_threads(lambda _: threading.get_ident(), range(3))}

    assert all(len(threads) == 1 for threads in in_threads(piece, range(4)))
