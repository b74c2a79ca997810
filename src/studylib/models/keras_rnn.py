"""One network of the grid of Toledo & Rezende 2020, trained epoch by epoch.

Keras is imported when a network is prepared: by then `studylib.execution.configure` has chosen its backend.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from studylib.data.sessions import Cases, Sessions
from studylib.evaluation.ranking import validation_ndcg
from studylib.models.base import Recommender
from studylib.progress import track


class KerasRNN(Recommender):
    """One network of the grid: trained to predict the last item of each training session from the items before it.

    Args:
        architecture: a key of `LAYERS`.
        activation: of the output, a key of `ACTIVATIONS`.
        optimizer, optimizer_settings, learning_rate: see `make_optimizer`.
        batch_size, epochs: of the training; it goes through all epochs (Table 4).
        patience: epochs without a better NDCG@10 on the validation cases after which it stops all the same, with the best
            weights; None: never.
        gates, padding, softmax_loss: how the network is built (`studylib.params.study.Building`).
        units: of each recurrent layer.
        max_length: input events; of a longer session the last ones.
        seed: of the initial weights and of the order of the batches.
    """

    version = 2

    def __init__(
        self,
        architecture: str,
        activation: str = "softmax",
        optimizer: str = "adam",
        optimizer_settings: str = "keras2",
        learning_rate: float | None = None,
        batch_size: int = 128,
        epochs: int = 20,
        patience: int | None = None,
        gates: str = "sigmoid",
        padding: str = "masked",
        softmax_loss: str = "exact",
        units: int = 128,
        max_length: int = 40,
        seed: int = 0,
    ):
        self.architecture, self.activation = architecture, activation
        self.optimizer, self.optimizer_settings, self.learning_rate = optimizer, optimizer_settings, learning_rate
        self.batch_size, self.max_epochs, self.patience, self.units = batch_size, epochs, patience, units
        self.max_length, self.seed, self.history = max_length, seed, max_length
        self.gates, self.padding, self.softmax_loss = gates, padding, softmax_loss

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        self.prepare(train)
        best_value, best_epoch, best_weights = -1.0, 0, None
        for epoch in track(range(1, self.max_epochs + 1), "epochs at most"):
            self.train_to(epoch)
            if self.patience is None or validation is None:
                continue
            value = validation_ndcg(self, validation, self.history, "full")
            if value > best_value:
                best_value, best_epoch, best_weights = value, epoch, self.network.get_weights()
            elif epoch - best_epoch >= self.patience:
                break
        if best_weights is not None:
            self.network.set_weights(best_weights)

    def prepare(self, train: Sessions) -> None:
        """Build the network for the training sessions, with nothing learnt yet."""
        with _nothing_on_stderr():
            import keras

            from studylib.models import keras_network

        last = Cases(train, train.offsets[1:][train.lengths > 1] - 1)
        full = None if self.padding == "masked" else self.max_length
        self.inputs, self.targets = self._pad(last.prefixes(self.max_length), full), last.targets
        keras.utils.clear_session()  # Keras never frees the networks of earlier trainings by itself
        steps = self.inputs.shape[1]
        masked = self.padding == "masked"
        self.network = keras_network.build_network(
            self.architecture, train.n_items, self.units, steps, self.seed, self.gates, masked
        )
        self.batches = -(-len(self.targets) // self.batch_size)
        loss = keras_network.cross_entropy(self.activation, self.softmax_loss == "clipped")
        compiled = keras.backend.backend() != "torch"
        # Measured on one core, LSTM, batch 64: 0.49 s an epoch with a call a batch, 0.34 s with one call an epoch.
        self.network.compile(
            optimizer=keras_network.make_optimizer(self.optimizer, self.optimizer_settings, self.learning_rate),
            loss=keras_network.MeanOverRows(loss),
            weighted_metrics=[keras.metrics.MeanMetricWrapper(loss, name="mean_loss")],
            jit_compile=compiled,
            steps_per_execution=self.batches if compiled else 1,
        )
        self.parameters = self.network.count_params()
        self.epochs = 0
        self.curve: list[dict[str, float]] = []

    def train_to(self, epoch: int) -> None:
        """Continue the training up to ``epoch``; the order of the batches depends on the seed and the epoch alone."""
        while self.epochs < epoch:
            order = np.random.default_rng([self.seed, self.epochs]).permutation(len(self.targets))
            # All batches have one size, so that one program is compiled: the last one is filled with rows of weight zero.
            filling = self.batches * self.batch_size - len(order)
            rows = np.concatenate([order, np.resize(order, filling)])
            weights = np.repeat(np.array([1, 0], np.float32), [len(order), filling])
            history = self.network.fit(
                self.inputs[rows],
                self.targets[rows],
                sample_weight=weights,
                batch_size=self.batch_size,
                shuffle=False,
                verbose=0,
            )
            self.epochs += 1
            self.curve.append({"epoch": self.epochs, "loss": float(history.history["mean_loss"][0])})

    def score(self, prefixes: Sessions) -> np.ndarray:
        """The outputs of the activation, float32 (n, n_items)."""
        from keras import ops

        from studylib.models.keras_network import ACTIVATIONS

        logits = self.network(self._pad(prefixes, self.inputs.shape[1]), training=False)
        return ops.convert_to_numpy(ACTIVATIONS[self.activation](logits))

    def _pad(self, prefixes: Sessions, steps: int | None = None) -> np.ndarray:
        """int32 (n, steps): the last ``steps`` events of each prefix, then -1; where padding is not masked, before them."""
        longest = int(prefixes.lengths.max()) if steps is None else steps
        lengths = np.minimum(prefixes.lengths, longest)
        column = np.arange(longest)
        if self.padding != "masked":
            column = column - (longest - lengths)[:, None]
        events = (prefixes.offsets[1:] - lengths)[:, None] + column
        events = np.clip(events, 0, len(prefixes.items) - 1)
        within = (column >= 0) & (column < lengths[:, None])
        return np.where(within, prefixes.items[events], -1).astype(np.int32)


@contextlib.contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """TensorFlow, when it is imported, writes there that it finds no GPU, whatever level of messages is set."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
