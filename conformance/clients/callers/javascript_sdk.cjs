// Calls through @aws-sdk/client-lambda: one JSON request a line on standard input, one JSON observation a line on
// standard output. The first argument is a folder whose node_modules has the SDK. The protocol is described in
// `caller.py` of the folder above.
"use strict";

const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");
const sdk = createRequire(`${process.argv[2]}/`)("@aws-sdk/client-lambda");

const MEMBERS = {
  FunctionName: "function",
  InvocationType: "invocation_type",
  LogType: "log_type",
  Qualifier: "qualifier",
  ClientContext: "client_context",
};
const clients = new Map();

function clientOf(endpoint) {
  // An answer is observed as it is, so nothing is tried again.
  if (!clients.has(endpoint)) clients.set(endpoint, new sdk.LambdaClient({ endpoint, maxAttempts: 1 }));
  return clients.get(endpoint);
}

async function observe(request) {
  const input = {};
  for (const [member, name] of Object.entries(MEMBERS)) if (name in request) input[member] = request[name];
  if ("payload" in request) input.Payload = Buffer.from(request.payload, "base64");
  try {
    const client = clientOf(request.endpoint);
    if (request.stream) return await streamed(await client.send(new sdk.InvokeWithResponseStreamCommand(input)));
    const answer = await client.send(new sdk.InvokeCommand(input));
    return {
      status: answer.StatusCode,
      payload: Buffer.from(answer.Payload ?? []).toString("base64"),
      function_error: answer.FunctionError ?? null,
      executed_version: answer.ExecutedVersion ?? null,
      log_result: answer.LogResult ?? null,
      request_id: answer.$metadata.requestId,
    };
  } catch (error) {
    if (!(error instanceof sdk.LambdaServiceException)) return { broken: String(error) };
    return {
      error: {
        // The generic class if the API's model does not have the code.
        class: error.constructor.name,
        code: error.name,
        message: error.message,
        status: error.$metadata.httpStatusCode,
        type: error.Type ?? null,
        reason: error.Reason ?? null,
        retry_after: error.retryAfterSeconds ?? null,
        request_id: error.$metadata.requestId,
      },
    };
  }
}

async function streamed(answer) {
  const chunks = [];
  let end;
  for await (const event of answer.EventStream) {
    if (end) return { broken: `after the end: ${JSON.stringify(event)}` };
    if (event.PayloadChunk) chunks.push(event.PayloadChunk.Payload);
    else end = event.InvokeComplete;
  }
  if (!end) return { broken: "no end" };
  return {
    status: answer.StatusCode,
    payload: Buffer.concat(chunks).toString("base64"),
    executed_version: answer.ExecutedVersion ?? null,
    content_type: answer.ResponseStreamContentType ?? null,
    error_code: end.ErrorCode ?? null,
    error_details: end.ErrorDetails ?? null,
    log_result: end.LogResult ?? null,
    request_id: answer.$metadata.requestId,
  };
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await observe(JSON.parse(line)))}\n`);
  }
  for (const client of clients.values()) client.destroy();
})();
