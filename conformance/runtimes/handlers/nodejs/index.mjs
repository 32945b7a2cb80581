// The check handler in Node.js: does what `firesteel check` asks of it. See conformance/runtimes/README.md.
// `index.handler` answers in one piece, `index.streaming` streams (run `check` once with each).

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class CheckError extends Error {
  name = "CheckError";
}

async function play(event, context) {
  switch (event["firesteel-check"]) {
    case "echo":
      return event.value;
    case "fail":
      throw new CheckError(event.message);
    case "size":
      return "x".repeat(event.bytes);
    case "sleep":
      await pause(event.ms);
      return event.value;
    case "context":
      return {
        request_id: context.awsRequestId,
        deadline_ms: Date.now() + context.getRemainingTimeInMillis(),
        function_arn: context.invokedFunctionArn,
        trace_id: process.env._X_AMZN_TRACE_ID ?? null,
        client_context: context.clientContext ?? null,
        identity: context.identity ?? null,
      };
    default:
      return { "firesteel-check": "not played" };
  }
}

async function stream(event, output) {
  for (const [number, part] of event.parts.entries()) {
    if (number > 0) await pause(event.pause_ms);
    output.write(part);
  }
}

export const handler = play;

export const streaming = awslambda.streamifyResponse(async (event, output, context) => {
  const action = event["firesteel-check"];
  if (action === "stream" || action === "stream-fail") {
    await stream(event, output);
    if (action === "stream-fail") throw new CheckError(event.message);
  } else {
    output.write(JSON.stringify((await play(event, context)) ?? null));
  }
  output.end();
});
