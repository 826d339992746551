"""The way in leads to the command line."""

import roadworthy.__main__ as entry


def test_main_runs_the_command_line(monkeypatch):
    """``roadworthy`` and ``python -m roadworthy`` are the same call."""
    calls = []
    monkeypatch.setattr(entry, "run", lambda: calls.append("run"))
    entry.main()
    assert calls == ["run"]
