"""Files that are never half written."""

import os
import stat

import pytest

from ctxeng.storage.atomic import write_atomic


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path, sync):
    path = tmp_path / "a.yaml"
    write_atomic(path, "one\r\n", sync=sync)
    write_atomic(path, b"two", sync=sync)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_links_are_kept(tmp_path):
    target, link = tmp_path / "real", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "inside").write_text("x")
    with pytest.raises(OSError, match=os.strerror(21)):
        write_atomic(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
