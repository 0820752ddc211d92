"""The JSON that the server answers, from which its OpenAPI page is made."""

from pydantic import BaseModel, Field


class WindowAnswer(BaseModel):
    """The scores of an excerpt of the audio."""

    start: float = Field(description="Start in seconds.")
    stop: float = Field(description="End in seconds.")
    scores: dict[str, float] = Field(description="Score of every label.")


class NeighbourAnswer(BaseModel):
    """A train track that resembles the audio."""

    track: str = Field(description="The track_id in the store.")
    labels: list[str] = Field(description="Its labels.")
    similarity: float = Field(description="Cosine similarity, -1 to 1.")
    audio: str | None = Field(description="Address of its audio, if the file is still there.")


class Prediction(BaseModel):
    """What the run says of an audio file."""

    seconds: float = Field(description="Length of the audio in seconds.")
    labels: list[str] = Field(description="The predicted labels; empty for a regression.")
    scores: dict[str, float] = Field(description="Score of every label, best first.")
    probabilities: dict[str, float] | None = Field(
        description="Calibrated probability of every label, if the run has a calibration."
    )
    windows: list[WindowAnswer] = Field(description="Scores over time.")
    neighbours: list[NeighbourAnswer] = Field(description="The most similar train tracks.")
    faults: dict[str, str] = Field(description="What is wrong with the audio, such as truncated.")


class Refusal(BaseModel):
    """Why a file was not scored."""

    detail: str = Field(description="The reason.")


class RunAnswer(BaseModel):
    """The run that is served, and what it accepts."""

    name: str = Field(description="Name of the run folder.")
    labels: list[str] = Field(description="The labels it knows, or the numbers it predicts.")
    multi_label: bool = Field(description="Whether a track may have several labels.")
    regression: bool = Field(description="Whether numbers are predicted in place of labels.")
    no_probability: str | None = Field(description="Why there are no probabilities.")
    has_neighbours: bool = Field(description="Whether similar train tracks are shown.")
    max_bytes: int = Field(description="Size of a file, at most, in bytes.")
    max_seconds: float = Field(description="Length of the audio, at most, in seconds.")
    version: str = Field(description="Version of mcls.")
