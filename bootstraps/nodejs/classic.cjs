// One event after the other, Node.js up to 22: a handler may answer by promise, by callback, by `context.succeed` and its
// kin, or not at all.
//
//     next ──► handler ──┬─ promise settled, context.done/succeed/fail ──► post ──► next
//                      ├─ callback(error) ────────────────────────────► post ──► next
//                      ├─ callback(null, x) ──► wait until the event loop is empty (unless told not to) ──► post ──► next
//                      └─ nothing ─────────────► event loop empty ──► post null ──► next
//
// "The event loop is empty" is Node's `beforeExit`; what then has to happen is in `whenEmpty`. Errors nobody caught are
// reported for the running invocation (before the first: as init error) and end the process with 129, unhandled rejections with 128.
"use strict";

const { RuntimeApi } = require("./api.cjs");
const { install } = require("./console.cjs");
const { Invocation } = require("./context.cjs");
const { UnhandledPromiseRejection, cause, report } = require("./failure.cjs");
const { classic, load, streamifyResponse, streamingOptions } = require("./load.cjs");
const { HttpResponseStream, ResponseStream } = require("./stream.cjs");

// What AWS's client of this generation logs when the platform refuses it.
const WORDING = {
  noAnswer: (url) => `Failed to get next invocation. No Response from endpoint "${url}"`,
  refused: (status) => `Failed to post handler success response. Http response code: ${status}.`,
};

const nothing = () => {};
const current = {};
let whenEmpty = nothing;
let logError;

async function run(user) {
  logError = install(() => current);
  const api = new RuntimeApi(process.env.AWS_LAMBDA_RUNTIME_API, WORDING);
  // Replaced once there is an invocation to blame.
  let reportFatal = (error) => { const body = report(error); return api.initError(JSON.stringify(body), body.errorType); };
  let ending = false;
  const endWith = async (heading, error, exitCode) => {
    if (ending) {
      return;
    }
    ending = true;
    if (heading) {
      logError(heading, error);
    }
    try {
      await reportFatal(error);
    } finally {
      process.exit(exitCode);
    }
  };
  process.on("uncaughtException", (error) => endWith("Uncaught Exception", error, 129));
  process.on("unhandledRejection", (reason, promise) =>
    endWith("Unhandled Promise Rejection", new UnhandledPromiseRejection(reason, promise), 128));
  process.on("beforeExit", () => whenEmpty());

  if (!["1", "true"].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
    globalThis.awslambda = { streamifyResponse, HttpResponseStream };
  }
  const runtime = new Runtime(await load(process.env._HANDLER, process.env.LAMBDA_TASK_ROOT, user, classic));
  const streaming = streamingOptions(runtime.handler);

  const serveOne = async () => {
    const { headers, body } = await api.next();
    const invocation = new Invocation(headers);
    current.requestId = invocation.id;
    current.tenantId = invocation.tenantId;
    reportFatal = (error) => api.fail(invocation, stringify(report(error)), cause(error));
    await (streaming ? serveStreaming : serveBuffered)(api, runtime, invocation, body, proceed, streaming);
  };
  // A new turn of the event loop, so that what the function has left in this one is done first.
  const proceed = () => setImmediate(() => serveOne().catch((error) => {
    console.log(`Unexpected Top Level Error: ${error}`);
    endWith(undefined, error, 129);
  }));
  proceed();
}

// The function is called as this class's method, since stack traces tell: "at Runtime.handler (file:///var/task/…)".
class Runtime {
  constructor(handler) {
    this.handler = handler;
  }
}

function serveBuffered(api, runtime, invocation, body, proceed) {
  const answer = new Answer(api, invocation, proceed);
  whenEmpty = () => answer.postNothing();
  try {
    const result = runtime.handler(JSON.parse(body), fill(answer.context, invocation), answer.callback);
    if (typeof result?.then === "function") {
      result.then(answer.context.succeed, answer.context.fail).catch(answer.context.fail);
    }
  } catch (error) {
    answer.callback(error);
  }
}

// The ways to answer one invocation; the first that is used wins.
class Answer {
  #api;
  #invocation;
  #proceed;
  #posted = false;
  #waits = true;

  constructor(api, invocation, proceed) {
    this.#api = api;
    this.#invocation = invocation;
    // An answer may be given twice (in two ways); there is only one next event.
    this.#proceed = () => { this.#proceed = nothing; proceed(); };
    const answer = this;
    let used = false;
    const once = (way) => (...args) => {
      if (!used) {
        way(...args);
        used = true; // after, so that an answer that cannot be posted leaves room for the error
      }
    };
    const done = (error, result) => this.#finish(error, () => this.#post(result));
    this.callback = once((error, result) => this.#finish(error, () => {
      if (this.#waits) {
        whenEmpty = () => setImmediate(() => this.#post(result));
      } else {
        this.#post(result);
      }
    }));
    this.context = {
      get callbackWaitsForEmptyEventLoop() { return answer.#waits; },
      set callbackWaitsForEmptyEventLoop(value) { answer.#waits = value; },
      succeed: once((result) => done(null, result)),
      fail: once((error) => done(error ?? "handled")),
      done: once(done),
    };
  }

  postNothing() {
    this.#posted = true;
    this.#api.respond(this.#invocation, "null").then(() => this.#proceed());
  }

  #finish(error, succeed) {
    whenEmpty = nothing;
    if (error === undefined || error === null) {
      succeed();
    } else {
      logError("Invoke Error", error);
      this.#api.fail(this.#invocation, stringify(report(error)), cause(error)).then(() => this.#proceed());
    }
  }

  #post(result) {
    if (this.#posted) {
      console.error("Invocation has already been reported as done. Cannot call complete more than once per invocation.");
      return;
    }
    this.#posted = true;
    const body = stringify(result);
    this.#api.respond(this.#invocation, body).then(() => this.#proceed());
  }
}

async function serveStreaming(api, runtime, invocation, body, proceed, options) {
  let waits = true;
  const context = {
    get callbackWaitsForEmptyEventLoop() { return waits; },
    set callbackWaitsForEmptyEventLoop(value) { waits = value; },
  };
  const proceedWhenAllowed = () => {
    whenEmpty = waits ? () => setImmediate(proceed) : nothing;
    if (!waits) {
      proceed();
    }
  };
  const stream = ResponseStream.create(api, invocation, options);
  const fail = (error) => {
    logError("Invoke Error", error);
    return stream.fail(error).then(proceedWhenAllowed);
  };
  whenEmpty = proceed;
  try {
    fill(context, invocation);
    const result = runtime.handler(JSON.parse(body), stream.writable, context);
    if (typeof result?.then !== "function") {
      return await fail("Streaming does not support non-async handlers.");
    }
    if (await result !== undefined) {
      console.warn("Streaming handlers ignore return values.");
    }
    await stream.done;
    if (!stream.writable.writableFinished) {
      return await fail("Response stream is not finished.");
    }
    proceedWhenAllowed();
  } catch (error) {
    await fail(error);
  }
}

function fill(context, invocation) {
  invocation.exportTrace();
  return Object.assign(context, {
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
  }, invocation.headerFields((header, error) => {
    const name = header.endsWith("identity") ? "CognitoIdentity" : "ClientContext";
    return new Error(`Cannot parse ${name} as json: ${error}`);
  }));
}

function stringify(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch {
    throw new Error("Unable to stringify response body");
  }
  if (typeof text !== "string") {
    throw new TypeError("Wrong arguments"); // a function or a symbol
  }
  return text;
}

module.exports = { run };
