"""What a vector store in a folder keeps when its process is killed."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from ctxeng.retrieval.chroma import ChromaVectors

INSTALLED = importlib.util.find_spec("chromadb") is not None
needs_chroma = pytest.mark.skipif(not INSTALLED, reason="extra vectors is not installed")
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*")

DIM = 16

WRITER = """
import sys
import numpy as np
from pathlib import Path
from ctxeng.retrieval.chroma import ChromaVectors

store, number = ChromaVectors("enc@1", 16, Path(sys.argv[1])), int(sys.argv[2])
while True:
    rows = np.random.default_rng(number).normal(size=(150, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store.upsert([f"{number}-{row}" for row in range(150)], rows)
    print(number, flush=True)
    number += 1
"""


@needs_chroma
def test_a_kill_in_mid_write_loses_nothing_acknowledged(tmp_path):
    done = -1
    for wait in (10, 25):  # acknowledged batches of 150, beyond the 1,000 after which Chroma writes its graph
        command = [sys.executable, "-c", WRITER, tmp_path, str(done + 1)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(wait):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0].split()
        done += wait + len(rest)
        store = ChromaVectors("enc@1", DIM, tmp_path)
        acknowledged = {f"{batch}-{row}" for batch in range(done + 1) for row in range(150)}
        assert acknowledged <= store.ids()
        for batch in range(done + 1):
            row = np.random.default_rng(batch).normal(size=(150, 16)).astype(np.float32)[7]
            row /= np.linalg.norm(row)
            assert store.query(row, 1) == [(f"{batch}-7", pytest.approx(1, abs=1e-4))]
        store.close()
    shutil.rmtree(tmp_path)
