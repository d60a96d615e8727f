"""What went over the wire, kept in a file: to be replayed against other code (`controllerkit.testing.replay`)."""

from controllerkit.wire.recording.entries import (
    FORMAT_VERSION,
    Answered,
    Asked,
    Ended,
    Entry,
    Header,
    LastEntry,
    Line,
    Passed,
    Stopping,
)
from controllerkit.wire.recording.paths import ApiPath
from controllerkit.wire.recording.reading import Recording, read_recording
from controllerkit.wire.recording.recorder import Recorder, RecordOptions
from controllerkit.wire.recording.redaction import MARK, Redaction
from controllerkit.wire.recording.transport import RecordingTransport

__all__ = [
    "FORMAT_VERSION",
    "MARK",
    "Answered",
    "ApiPath",
    "Asked",
    "Ended",
    "Entry",
    "Header",
    "LastEntry",
    "Line",
    "Passed",
    "RecordOptions",
    "Recorder",
    "Recording",
    "RecordingTransport",
    "Redaction",
    "Stopping",
    "read_recording",
]
