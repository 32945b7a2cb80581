def handler(event, context):
    return "package.inner.module"
