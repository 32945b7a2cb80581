def handler(event, context):
    return "bom"
