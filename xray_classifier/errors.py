"""Everything that can go wrong in a way the user can mend.

XrayClassifierError
├── UnreadableImageError    the bytes are not an image that we can judge
│   └── RejectedImageError  they are one, but by its header no chest radiograph
├── ModelUnavailableError   a model file is missing, or is not what its JSON says
├── DatasetError            a folder of radiographs cannot be used as it is
├── OutputError             a file cannot be written where it was wanted
└── MissingPackageError     what was asked for needs a package that is not installed

Each message says what came, what was wanted and what to do.
"""


class XrayClassifierError(Exception):
    """Base of all errors whose message is meant for the user."""


class UnreadableImageError(XrayClassifierError):
    """The bytes are not an image that can be decoded."""


class RejectedImageError(UnreadableImageError):
    """The header of the file says that it is no chest radiograph."""


class ModelUnavailableError(XrayClassifierError):
    """A model is missing, damaged or not the one that its JSON describes."""


class DatasetError(XrayClassifierError):
    """A folder of radiographs, or a table about it, cannot be used as it is."""


class OutputError(XrayClassifierError):
    """A file or folder cannot be written where it was wanted."""


class MissingPackageError(XrayClassifierError):
    """What was asked for needs a package that is not installed."""


def missing_package(error: ModuleNotFoundError, requirements_file: str) -> MissingPackageError:
    """Say which package is missing, and which file brings it."""
    return MissingPackageError(
        f"The package {error.name} is missing. Install it: pip install -r {requirements_file}"
    )
