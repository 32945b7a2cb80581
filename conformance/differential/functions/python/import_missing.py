import module_that_is_missing


def handler(event, context):
    return 1
