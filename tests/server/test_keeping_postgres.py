"""``trialogue db`` and ``trialogue users`` beside a server over PostgreSQL: what may be done, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from postgres_stores import open_dsn, open_schema
from served import Server

from trialogue_server import cli

Capture = pytest.CaptureFixture[str]


def test_backup_beside_a_server_goes_into_another_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # Where no server has the data folder, and none can be asked.
    with open_dsn() as dsn, open_schema(dsn) as url, open_schema(dsn) as other:
        assert cli.main(["users", "create", "ada@example.org", "--storage-url", url]) == 0
        server = Server(tmp_path, storage_url=url)
        try:
            server.start()
            assert cli.main(["users", "list", "--storage-url", url]) == 2
            assert "servers run over this storage" in capsys.readouterr().err
            assert cli.main(["db", "backup", "backups", "--storage-url", url, "--json"]) == 0
            backup = json.loads(capsys.readouterr().out)["backup"]
            assert cli.main(["db", "restore", backup, "--storage-url", url]) == 2
            assert "servers run over" in capsys.readouterr().err
        finally:
            server.close()
        assert cli.main(["db", "restore", backup, "--storage-url", other]) == 0
        assert cli.main(["db", "check", "--storage-url", other]) == 0
        assert cli.main(["users", "list", "ada", "--storage-url", other]) == 0
        assert "ada@example.org" in capsys.readouterr().out
