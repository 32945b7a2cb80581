// What the headers of an event and the environment say, as fields of the context object.
//
// classic and modern put them together in different orders: functions print their context.

"use strict";

class Invocation {
  constructor(headers) {
    this.id = headers["lambda-runtime-aws-request-id"];
    this.attemptId = headers["lambda-runtime-invocation-id"];
    this.tenantId = headers["lambda-runtime-aws-tenant-id"];
    this.traceId = headers["lambda-runtime-trace-id"] ?? "";
    this.headers = headers;
  }

  // Throws when a header is not the JSON it should be; `failed` words and types the error.
  headerFields(failed) {
    const deadlineMs = Number(this.headers["lambda-runtime-deadline-ms"] ?? 0);
    return {
      clientContext: parse(this.headers, "lambda-runtime-client-context", failed),
      identity: parse(this.headers, "lambda-runtime-cognito-identity", failed),
      invokedFunctionArn: this.headers["lambda-runtime-invoked-function-arn"] ?? "",
      awsRequestId: this.id,
      tenantId: this.tenantId,
      getRemainingTimeInMillis: () => deadlineMs - Date.now(),
    };
  }

  // Tracing libraries read the header of the running invocation from the environment.
  exportTrace() {
    if (this.traceId) {
      process.env._X_AMZN_TRACE_ID = this.traceId;
    } else {
      delete process.env._X_AMZN_TRACE_ID;
    }
  }
}

function parse(headers, name, failed) {
  if (!headers[name]) {
    return undefined;
  }
  try {
    return JSON.parse(headers[name]);
  } catch (error) {
    throw failed(name, error);
  }
}

module.exports = { Invocation };
