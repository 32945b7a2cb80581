"""Says which invocation it is."""


def lambda_handler(event, context):
    print(f"handling {event['name']}")
    return {"name": event["name"], "requestId": context.aws_request_id}
