"""The one exception that is meant for the person at the keyboard, and what commands end with."""

USER_MISTAKE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class FacehallError(Exception):
    """A mistake that the user can mend.

    Its text is one paragraph that names the file or key, says what is wrong and what to do about it. The entry
    points print that paragraph and exit with status 2; everything else keeps its traceback.
    """
