"""Why a file cannot be imported."""


class FileError(Exception):
    """A file that cannot be imported as it is; the text says why, and which option would help."""
