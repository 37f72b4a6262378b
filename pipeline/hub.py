"""What huggingface_hub raises where the Hub refuses, or cannot be reached."""


def hub_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions to catch; among them those of its HTTP client, which get through."""
    from huggingface_hub.errors import HfHubHTTPError

    # The client differs between versions of huggingface_hub; this is its root of errors.
    return (HfHubHTTPError.__bases__[0], OSError)
