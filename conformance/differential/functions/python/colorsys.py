def handler(event, context):
    return "shadows the standard library"
