def load():
    raise ValueError("at import h\u00e9")


load()
