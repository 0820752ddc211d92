"""Hidden layers of a local transformers model as a feature, such as wav2vec 2.0 or AST."""

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from mcls.errors import ConfigError, missing_extra
from mcls.features.local_model import LocalModel, Stamp
from mcls.features.torch_device import device_of, exact_inference
from mcls.registry import register

#: Files of a folder, beside the weights, that say how to read audio.
_CONFIG = ("config.json", "preprocessor_config.json")


@register("features", "hf", needs=("path",))
class HfModel(LocalModel):
    """Hidden layers of an audio model of the transformers package: one row per window.

    Parameters
    ----------
    path : str
        The folder that save_pretrained wrote: configurations and safetensors.
    layer : int or None
        Number of a hidden layer: 0 is the input of the first block, -1 the last.
    output : str or None
        Output of the model instead of a layer, such as pooler_output; none: the first.
    window : float or None
        Length of a window in seconds; none: the length that the model pads to.
    hop : float or None
        Seconds from window to window; none: the length of a window.
    device : {'auto', 'cpu', 'cuda'}
        Device to compute on; auto: CUDA where there is a device, else the CPU.
    sha256 : str or None
        SHA-256 of the model, filled in by extraction; another one is refused.

    Notes
    -----
    Audio has the sampling rate of the extraction (``--sr``), which has to be the model's. The last
    axis of a layer are the dimensions; the mean is taken over the others. Of an encoder and a
    decoder (Whisper) the encoder is used. Nothing is downloaded, nothing is unpickled, and code
    that comes with a model is not run: models that need it are refused.
    """

    name: ClassVar[str] = "hf"
    what: ClassVar[str] = "a folder of a transformers model"

    def __init__(
        self,
        sr: int,
        *,
        path: str = "",
        layer: int | None = None,
        output: str | None = None,
        window: float | None = None,
        hop: float | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        sha256: str | None = None,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, path, window, hop, sha256, delta)
        if layer is not None and output is not None:
            raise ConfigError("hf: layer and output name two different rows; give one of them")
        self.device, self.layer, self.output = device_of(self.name, device), layer, output
        _, extractor = self._model()
        self.check_rate(extractor.sampling_rate)
        self.longest = _longest(extractor)
        if window is None:
            window = self.longest
        elif self.longest is not None and window > self.longest:
            raise ConfigError(
                f"hf: {path} reads at most {self.longest:g} s at once, and window is {window:g} s"
            )
        self.set_windows(window, hop, (None, None))

    @property
    def notes(self) -> list[str]:
        """Say that shorter windows are padded."""
        seconds = self.n_samples / self.sr
        if self.longest is None or seconds >= self.longest:
            return []
        return [
            f"{self.path} pads the windows of {seconds:g} s to {self.longest:g} s, and the mean "
            "over time is taken over the padding as well"
        ]

    @classmethod
    def files(cls, path: Path) -> list[Path]:
        """Return the configurations and the weights."""
        if not (path / _CONFIG[0]).is_file():
            raise ConfigError(
                f"hf: {path} is not a folder of a transformers model, with a {_CONFIG[0]}; models "
                "are not downloaded"
            )
        weights = sorted(path.glob("*.safetensors"))
        if not weights:
            raise ConfigError(f"hf: {path} has no weights in safetensors; other files are not read")
        return [*(path / name for name in _CONFIG if (path / name).exists()), *weights]

    def _model(self) -> tuple[Any, Any]:
        return _opened(self.path, self.device, self.stamp(self.path))

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the layer or output that was asked for."""
        model, extractor = self._model()
        given = extractor(list(audio), sampling_rate=self.sr, return_tensors="pt")
        x = given[model.main_input_name]
        with exact_inference():
            found = model(x.to(self.device), output_hidden_states=True, return_dict=True)
        return self._chosen(found).float().cpu().numpy()

    def _chosen(self, found: Any) -> Any:
        if self.layer is None:
            names = [name for name, value in found.items() if hasattr(value, "shape")]
            return found[self.output_named(self.output, names)]
        layers = found["hidden_states"]
        if not -len(layers) <= self.layer < len(layers):
            raise ConfigError(
                f"hf: {self.path} has the layers 0 to {len(layers) - 1}, not {self.layer}"
            )
        return layers[self.layer]


@lru_cache(maxsize=2)
def _opened(path: str, device: str, stamp: Stamp) -> tuple[Any, Any]:
    """Return the audio encoder of a folder, and what prepares its input."""
    try:
        from transformers import AutoFeatureExtractor, AutoModel
        from transformers.utils.logging import disable_progress_bar, set_verbosity_error
    except ImportError as error:
        raise missing_extra("hf", "transformers", "hf") from error
    disable_progress_bar()
    set_verbosity_error()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        extractor = AutoFeatureExtractor.from_pretrained(path, **local)
        model, loading = AutoModel.from_pretrained(
            path, **local, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # transformers raises errors of many types
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(f"hf: transformers cannot open {path}: {said}") from error
    # masked_spec_embed, the row of masked frames, is used in training only
    lacking = {*loading["missing_keys"], *map(str, loading["mismatched_keys"])}
    lacking = {name for name in lacking if not name.endswith("masked_spec_embed")}
    if lacking:
        raise ConfigError(
            f"hf: {path} lacks {len(lacking)} of the weights, {min(lacking)} for instance; "
            "transformers would draw them at random"
        )
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    if model.main_input_name not in extractor.model_input_names:
        raise ConfigError(
            f"hf: {path} reads {model.main_input_name}, which is not audio; import its rows "
            "with `mcls import` instead"
        )
    return model.eval().to(device), extractor


def _longest(extractor: Any) -> float | None:
    """Return the seconds to which a model pads or cuts its input; None if it does neither."""
    for name in ("n_samples", "nb_max_samples"):  # Whisper, CLAP
        if getattr(extractor, name, None):
            return getattr(extractor, name) / extractor.sampling_rate
    if getattr(extractor, "num_mel_bins", None) and getattr(extractor, "max_length", None):
        return extractor.max_length / 100  # AST: Kaldi's frames, every 10 ms
    return None
