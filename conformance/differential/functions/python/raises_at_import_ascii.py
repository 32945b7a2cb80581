def load():
    raise ValueError("at import, ascii only")


load()
