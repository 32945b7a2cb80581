def __getattr__(name):
    raise ValueError("attribute " + name)
