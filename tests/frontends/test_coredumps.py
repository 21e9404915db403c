"""A crash writes no memory to disk, and nobody of the same user attaches."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, os, resource
from gateway_guard.frontends.coredumps import forbid
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
forbid()
# PR_GET_DUMPABLE
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
# What the process itself reads of /proc it still can.
os.listdir("/proc/self/fd"), open("/proc/self/status").read()
os.abort()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_an_aborted_process_leaves_no_core_and_cannot_be_dumped(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == -signal.SIGABRT, done.stderr
    assert done.stdout.split() == ["0", "0", "0"]
    assert list(tmp_path.iterdir()) == []
