"""The same networks on every Keras backend that is installed: the same first losses from the same weights."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json
from studylib.execution import configure
from studylib.params.study import Execution
import sys
configure(Execution(keras_backend=sys.argv[1]))
import keras
import numpy as np
from studylib.data.sessions import Sessions
from studylib.models.keras_rnn import KerasRNN
assert keras.backend.backend() == sys.argv[1]
sessions = Sessions.from_lists([[(s + step) % 9 for step in range(2 + s % 4)] for s in range(32)])
losses = {}
for architecture, activation in [("hybrid", "softmax"), ("hybrid-gru-lstm", "sigmoid")]:  # each has both layers
    model = KerasRNN(architecture, activation, "adam", batch_size=16, units=5)
    model.prepare(sessions)
    random = np.random.default_rng(0)
    model.network.set_weights([random.normal(0, 0.3, w.shape) for w in model.network.get_weights()])
    model.train_to(3)
    losses[architecture] = [point["loss"] for point in model.curve]
print(json.dumps(losses))
"""


def losses(backend):
    command = [sys.executable, "-c", SCRIPT, backend]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def reference():
    return losses("tensorflow")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_first_losses_agree_with_tensorflow(backend, reference):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the backend {backend} is not installed")
    first_losses = losses(backend)
    assert first_losses.keys() == reference.keys() and len(first_losses) == 2
    for network, expected in reference.items():
        assert first_losses[network] == pytest.approx(expected, rel=2e-4), network
        assert expected[2] < expected[0]
