"""The one exception that reaches a user as a single line, and how memory that ran out looks."""


class SllamaError(Exception):
    """Bad input or a bad environment; the message says what is wrong and what to do about it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out: by Python's own error, a GPU's, or that of torch on the CPU."""
    # By name and by words: nothing here loads torch, whose CPU allocator has no error of its own.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
