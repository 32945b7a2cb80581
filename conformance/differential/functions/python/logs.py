"""Handlers that write: print, logging, raw descriptors."""
import logging
import os
import sys
import warnings

print("module loading")
logging.warning("logged at import")

logger = logging.getLogger("sample.logs")


class Odd:
    def __repr__(self):
        return "<odd>"


def printing(event, context):
    print("one line")
    print("two\nlines")
    print("no newline", end="")
    print(" h\u00e9 \U0001F600")
    sys.stdout.writelines(["a\n", "b\n"])
    print("to stderr", file=sys.stderr)
    sys.stderr.write("raw stderr\n")
    print("carriage\rreturn")
    print()


def partial(event, context):
    sys.stdout.write("left without a newline")
    os._exit(3)


def raw(event, context):
    os.write(1, b"straight to the descriptor\n")
    sys.stdout.buffer.write(b"through the buffer\n")
    sys.stdout.flush()
    print("after")


def levels(event, context):
    root = logging.getLogger()
    root.setLevel(event.get("level", logging.NOTSET))
    logging.debug("debug")
    logging.info("info")
    logging.warning("warning")
    logging.error("error")
    logging.critical("critical")
    logger.info("named %s", "argument")
    logger.log(25, "between levels")
    logger.log(5, "below debug")


def defaults(event, context):
    logging.debug("debug")
    logging.info("info")
    logging.warning("warning")
    logger.info("named info")
    logger.error("named error")


def multi_line(event, context):
    logging.error("first\nsecond\n  third")


def exception(event, context):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("it failed")
        logger.error("with info", exc_info=True, stack_info=False)


def extra(event, context):
    logger.warning("with extra", extra={"order": 7, "odd": Odd(), "nothing": None})
    logger.warning({"a": "dict", "odd": Odd()})
    logger.warning({"percent": 1}, extra={"message2": "m"})
    logger.warning("percent %d of %s", 5, {"k": "v"})
    logger.warning("unicode h\u00e9 \U0001F600")


def stack(event, context):
    logger.warning("with stack", stack_info=True)


def broken_format(event, context):
    logger.warning("%d items", "not a number")


def basic_config(event, context):
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.info("basic config has no effect on the format")


def basic_config_forced(event, context):
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    logging.info("forced")


def own_formatter(event, context):
    logging.getLogger().handlers[0].setFormatter(logging.Formatter("mine %(aws_request_id)s %(message)s"))
    logging.warning("formatted")


def warning(event, context):
    warnings.warn("a warning")


def captured_warning(event, context):
    logging.captureWarnings(True)
    warnings.warn_explicit("captured", UserWarning, "file.py", 3)


def then_fail(event, context):
    print("before failing")
    logging.warning("about to fail")
    raise ValueError("failed")


def replaced_stdout(event, context):
    import io
    kept, sys.stdout = sys.stdout, io.StringIO()
    logging.warning("into the replacement")
    caught, sys.stdout = sys.stdout.getvalue(), kept
    return caught.count("into the replacement")
