// Reads streams through `InvokeWithResponseStreamCommand` of @aws-sdk/client-lambda. The first argument is a folder whose
// node_modules has the SDK; the protocol is described in `stream_caller.py` of the folder above.
"use strict";

const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");
const sdk = createRequire(`${process.argv[2]}/`)("@aws-sdk/client-lambda");

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function read(client, request) {
  const answer = await client.send(new sdk.InvokeWithResponseStreamCommand({
    FunctionName: request.function,
    LogType: request.log_type,
    Payload: Buffer.from(request.payload, "base64"),
  }));
  let complete = null;
  for await (const event of answer.EventStream) {
    if (event.PayloadChunk) tell({ chunk: Buffer.from(event.PayloadChunk.Payload).toString("base64") });
    else complete = event.InvokeComplete;
  }
  // Only once the stream is over, so that an end that does not come is noticed.
  tell(complete ? { complete } : { broken: "no InvokeComplete" });
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    // An answer is observed as it is, so nothing is tried again.
    const client = new sdk.LambdaClient({ endpoint: request.endpoint, maxAttempts: 1 });
    try {
      await read(client, request);
    } catch (error) {
      tell({ broken: String(error) });
    } finally {
      client.destroy();
    }
  }
})();
