def handler(event, context):
    import layered
    return layered.WHERE
