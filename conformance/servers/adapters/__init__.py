"""Servers under test, each behind the same few names.

An adapter has a `name`, says in `inexpressible` why it cannot set up a scenario (None: it can), and `start` gives a
context with:

| name | what |
|---|---|
| `endpoint` | host and port of the Lambda API |
| `url_endpoint` | likewise of the function's URL |
| `function`, `arn` | how callers name the function |
| `log()` | lines of the function's log |
| `raw_log()` | all that the server wrote, for people |
| `stop()` | asks it to end in order, and waits for that |
"""
