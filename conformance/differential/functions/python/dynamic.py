def __getattr__(name):
    if name == "dynamic":
        return lambda event, context: "dynamic"
    raise AttributeError(name)
