// One event after the other, Node.js 24 and later: the handler's promise (or plain value) is the answer.
//
//     next ──► await handler(event, context) ──► post ──► next
//
// There are no callbacks, the event loop is not waited for, and nothing catches stray errors: Node.js itself ends the process with
// exit code 1, and the platform reports that.
"use strict";

const { RuntimeApi } = require("./api.cjs");
const { install } = require("./console.cjs");
const { Invocation } = require("./context.cjs");
const { CallbackHandlerDeprecated, JSONStringifyError, PlatformError, cause, report } = require("./failure.cjs");
const { InvokeStore } = require("./invoke_store.cjs");
const { load, modern, streamifyResponse, streamingOptions } = require("./load.cjs");
const { HttpResponseStream, ResponseStream } = require("./stream.cjs");

// What AWS's client of this generation logs when the platform refuses it.
const WORDING = {
  noAnswer: () => "Failed to get next invocation. No Response from endpoint",
  refused: (status, body) => `Failed to post handler success response. Http response code: ${status}. ${body}`,
};
const NO_CALLBACKS =
  "Callback handlers are not supported from Node.js 24 on: make the handler async, or let it return a promise.";

let logError;

async function run(user) {
  // Leaves the turn in which Node.js loads this file, else its loader would show in the stack of every failed start.
  await undefined;
  const store = new InvokeStore();
  if (!["1", "true"].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
    globalThis.awslambda = { ...globalThis.awslambda, InvokeStore: store, streamifyResponse, HttpResponseStream };
  }
  logError = install(() => ({ requestId: store.getRequestId(), tenantId: store.getTenantId() }));
  const api = new RuntimeApi(process.env.AWS_LAMBDA_RUNTIME_API, WORDING);
  const processor = await initialize(api, user);
  for (;;) {
    const { headers, body } = await api.next();
    const invocation = new Invocation(headers);
    const context = contextOf(invocation);
    const event = JSON.parse(body);
    await store.run(InvokeStore.contextOf(invocation), () => processor.processInvoke(invocation, event, context));
  }
}

async function initialize(api, user) {
  try {
    const handler = await load(process.env._HANDLER, process.env.LAMBDA_TASK_ROOT, user, modern);
    const streaming = streamingOptions(handler);
    if (handler.length >= 3 && !streaming) {
      throw new CallbackHandlerDeprecated(NO_CALLBACKS);
    }
    return streaming ? new StreamingInvokeProcessor(api, handler, streaming) : new BufferedInvokeProcessor(api, handler);
  } catch (error) {
    logError("Init Error", error);
    const body = report(error);
    await api.initError(JSON.stringify(body), body.errorType);
    throw error;
  }
}

// The function is called as a method of these classes, since stack traces tell their names.
class BufferedInvokeProcessor {
  constructor(api, handler) {
    this.api = api;
    this.handler = handler;
  }

  async processInvoke(invocation, event, context) {
    try {
      const result = await this.handler(event, context);
      // A turn of the event loop, so that what the function has begun without waiting can go out first.
      await nextTurn();
      await this.api.respond(invocation, stringify(result));
    } catch (error) {
      await nextTurn();
      logError("Invoke Error", error);
      await this.api.fail(invocation, JSON.stringify(report(error)), cause(error));
    }
  }
}

class StreamingInvokeProcessor {
  constructor(api, handler, options) {
    this.api = api;
    this.handler = handler;
    this.options = options;
  }

  async processInvoke(invocation, event, context) {
    const stream = ResponseStream.create(this.api, invocation, this.options);
    try {
      const result = this.handler(event, stream.writable, context);
      if (typeof result?.then !== "function") {
        throw new Error("Streaming does not support non-async handlers.");
      }
      if (await result !== undefined) {
        console.warn("Streaming handlers ignore return values.");
      }
      await stream.done;
      if (!stream.writable.writableFinished) {
        throw new Error("Response stream is not finished.");
      }
    } catch (error) {
      await nextTurn();
      logError("Invoke Error", error);
      await stream.fail(error);
    }
  }
}

function contextOf(invocation) {
  const fields = invocation.headerFields((header, error) => new PlatformError(`Failed to parse ${header} as JSON: ${error.message}`));
  const { getRemainingTimeInMillis, ...rest } = fields;
  invocation.exportTrace();
  return {
    ...rest,
    xRayTraceId: invocation.traceId,
    getRemainingTimeInMillis,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

function nextTurn() {
  return new Promise((resolve) => setImmediate(resolve));
}

function stringify(value) {
  try {
    return JSON.stringify(value === undefined ? null : value);
  } catch {
    throw new JSONStringifyError("Unable to stringify response body");
  }
}

module.exports = { run };
