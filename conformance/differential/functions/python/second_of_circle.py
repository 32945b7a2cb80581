import first_of_circle


def handler(event, context):
    return 1
