// A streamed response: the writable object a streaming handler gets, on top of one chunked request with trailers.
//
//     ResponseStream.writable ──► POST …/response, a chunk per write ──► end, or fail(error) as trailers
//
// Uses node:http, loaded only for streaming functions: what the handler sees of a stream is what node:http makes of it.
"use strict";

const { InvalidStreamingOperation, report } = require("./failure.cjs");

const ERROR_TYPE = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY = "Lambda-Runtime-Function-Error-Body";
const PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response";
const PRELUDE_END = new Uint8Array(8);

// Everything of the request that a handler may use. The rest (headers, sockets) is the runtime's.
const METHODS = [
  "cork", "destroy", "end", "uncork", "write",
  "addListener", "emit", "eventNames", "getMaxListeners", "listenerCount", "listeners", "off", "on", "once",
  "prependListener", "prependOnceListener", "rawListeners", "removeAllListeners", "removeListener", "setMaxListeners",
];
const PROPERTIES = [
  "destroyed", "writable", "writableFinished", "writableObjectMode", "writableEnded", "writableNeedDrain",
  "writableHighWaterMark", "writableCorked", "writableLength", "_onBeforeFirstWrite",
];

let http;
let agent;

class ResponseStream {
  #request;
  #begun = false;

  static create(api, invocation, { highWaterMark }) {
    http ??= require("node:http");
    // `highWaterMark` reaches the socket through the agent's options.
    agent ??= new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true, highWaterMark });
    return new ResponseStream(api, invocation);
  }

  constructor(api, invocation) {
    this.done = new Promise((resolve, reject) => {
      this.#request = http.request({
        agent,
        host: api.host,
        port: api.port,
        method: "POST",
        path: `/2018-06-01/runtime/invocation/${encodeURIComponent(invocation.id)}/response`,
        headers: {
          "Lambda-Runtime-Function-Response-Mode": "streaming",
          Trailer: [ERROR_TYPE, ERROR_BODY],
          "Content-Type": "application/octet-stream",
          "Transfer-Encoding": "chunked",
          ...(invocation.attemptId && { "Lambda-Runtime-Invocation-Id": invocation.attemptId }),
        },
      }, (answer) => {
        answer.on("aborted", () => reject(new Error("aborted")));
        answer.on("end", resolve);
        answer.resume();
      });
      this.#request.on("error", reject);
    });
    // Whoever awaits `done` gets the error; a handler that failed first must not raise a second one.
    this.done.catch(() => {});
    this.writable = this.#handlersView();
  }

  // The failure travels after whatever has been written, even if that is nothing.
  fail(error) {
    const failed = report(error);
    this.#request.addTrailers({
      [ERROR_TYPE]: failed.errorType,
      [ERROR_BODY]: Buffer.from(JSON.stringify(failed)).toString("base64"),
    });
    this.#request.end();
    // Until the platform has it all. That the connection was lost is known to the platform as well.
    return this.done.catch(() => {});
  }

  #handlersView() {
    const request = this.#request;
    const plainWrite = request.write.bind(request);
    request.write = (chunk, encoding, callback) => {
      const isBytes = typeof chunk === "string" || chunk instanceof Uint8Array;
      if (!this.#begun) {
        request._onBeforeFirstWrite?.((prelude) => plainWrite(prelude));
      }
      const accepted = plainWrite(isBytes ? chunk : JSON.stringify(chunk), encoding, callback);
      this.#begun = true;
      return accepted;
    };
    const view = Object.fromEntries(METHODS.map((name) => [name, request[name].bind(request)]));
    view.setContentType = (contentType) => {
      if (this.#begun) {
        throw new InvalidStreamingOperation("Cannot set content-type, too late.");
      }
      request.setHeader("Content-Type", contentType);
    };
    for (const name of PROPERTIES) {
      Object.defineProperty(view, name, { get: () => request[name], set: (value) => { request[name] = value; } });
    }
    return view;
  }
}

// `awslambda.HttpResponseStream`: status, headers and cookies for an HTTP front end go ahead of the body.
class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType(PRELUDE_TYPE);
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(PRELUDE_END);
    };
    return stream;
  }
}

module.exports = { ResponseStream, HttpResponseStream };
