"""Interrupted training goes on where it stopped, with nothing half-written taken for whole.

Keras's BackupAndRestore keeps weights and epoch, but forgets how long the other callbacks have
waited and where dropout's random numbers stand, and writes its two files one after the other. Here
`state.json` is replaced last and in one step, and names the model files that belong to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from xray_classifier.errors import DatasetError
from xray_classifier.files import make_folder, replace_atomically

# What early stopping and the plateau rule remember from epoch to epoch.
_REMEMBERED = ("wait", "best", "cooldown_counter")


class Checkpoints(keras.callbacks.Callback):
    """Keep the last and the best epoch of a run, and the state of the callbacks named.

    Must stand last in the list of callbacks: Keras resets the others when training begins, and
    this one then restores them.

    Args:
        folder: where the files lie; made if missing.
        run: what makes two runs the same (seed, data, recipe); a stored run that differs is
            refused.
        companions: the callbacks whose state is kept.

    Raises:
        DatasetError: the folder holds another run.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], companions: list[keras.callbacks.Callback]
    ) -> None:
        super().__init__()
        self.folder = folder
        self.run = run
        self.companions = companions
        self.history: list[dict[str, float]] = []
        self.stopped = False
        self._companion_states: list[dict[str, Any]] = []
        self._random_states: list[list[int]] = []
        make_folder(folder)
        self._read_state()

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss so far, counted from 1."""
        lowest = min(self.history, key=lambda row: np.nan_to_num(row["val_loss"], nan=np.inf))
        return int(lowest["epoch"])

    def load(self, epoch: int) -> keras.Model:
        """Load the model, with its optimizer, as a whole epoch (counted from 1) left it."""
        return keras.models.load_model(self._file(epoch))

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Give the companions and the layers that draw at random back what they remembered."""
        for companion, state in zip(self.companions, self._companion_states, strict=False):
            vars(companion).update(state)
        for generator, numbers in zip(self._generators(), self._random_states, strict=False):
            generator.state.assign(numbers)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write this epoch's model, then the state that names it; forget what is superseded."""
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, **numbers})
        with replace_atomically(self._file(epoch + 1)) as temporary:
            self.model.save(temporary)
        self.stopped = bool(self.model.stop_training)
        self._write_state()
        kept = {self._file(epoch + 1), self._file(self.best_epoch)}
        for stale in set(self.folder.glob("epoch-*.keras")) - kept:
            stale.unlink()

    def _generators(self) -> list[keras.random.SeedGenerator]:
        """List what dropout draws from; a model file does not hold it."""
        layers = self.model.layers
        return [one.seed_generator for one in layers if hasattr(one, "seed_generator")]

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:02d}.keras"

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    def _write_state(self) -> None:
        state = {
            "run": self.run,
            "history": self.history,
            "stopped": self.stopped,
            "companions": [
                {name: value for name, value in vars(one).items() if name in _REMEMBERED}
                for one in self.companions
            ],
            "random": [one.state.numpy().tolist() for one in self._generators()],
        }
        # Not `write_json`: the losses of a run that diverged are NaN, and it goes on all the same.
        with replace_atomically(self._state_file) as temporary:
            temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")

    def _read_state(self) -> None:
        if not self._state_file.exists():
            return
        state = json.loads(self._state_file.read_text(encoding="utf-8"))
        if state["run"] != self.run:
            raise DatasetError(
                f"{self.folder} holds another run ({state['run']}); this one is {self.run}. "
                "Choose another --out, or delete that folder to start afresh."
            )
        self.history = state["history"]
        self.stopped = state["stopped"]
        self._companion_states = state["companions"]
        self._random_states = state.get("random", [])  # absent in checkpoints of older versions
