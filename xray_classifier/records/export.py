"""How a network was written for another runtime, as its JSON says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OnnxFacts:
    """The ONNX file of a network, made from its Keras file by `export`.

    Attributes:
        file: name of the file, in the folder of the JSON.
        sha256: of the file, hexadecimal.
        bytes: size of the file.
        source_sha256: of the Keras file that it was made from.
        opset: version of ONNX's operators.
        converter: name and version of what made it, and of what ran it when it was compared.
        images: how many radiographs both were shown.
        largest_difference: between any two of their answers.
    """

    file: str
    sha256: str
    bytes: int
    source_sha256: str
    opset: int
    converter: str
    images: int
    largest_difference: float
