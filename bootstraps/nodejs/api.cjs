// The Runtime API, client side: one kept connection for everything but streamed responses (see stream.cjs).
//
//     next() ──► { headers, body }      respond() / fail() / initError()
//
// Written on node:net and not on node:http, because posts have to leave at once: AWS's client posts synchronously, and functions
// rely on it (`callback(null, result); process.exit()`). A socket's write reaches the kernel before it returns; a
// request of node:http leaves in a later tick.
//
// A refused post is logged and forgotten, a refused `next` is an error: as with AWS's client.
"use strict";

const net = require("node:net");

const BASE = "/2018-06-01/runtime/";

class RuntimeApi {
  #socket;
  #reader;
  #last = Promise.resolve();
  #inFlight = 0;

  constructor(address, wording) {
    this.address = address;
    this.wording = wording;
    const colon = address.lastIndexOf(":");
    this.host = address.slice(0, colon);
    this.port = Number(address.slice(colon + 1));
    this.common = `Host: ${address}\r\nUser-Agent: firesteel-nodejs/${process.versions.node}\r\n`;
  }

  async next() {
    let answer;
    try {
      answer = await this.#exchange("GET", "invocation/next", "");
    } catch {
      log(this.wording.noAnswer(`${this.address}${BASE}invocation/next`));
      throw new Error("Failed to get next invocation, error -1");
    }
    if (answer.status < 200 || answer.status > 299) {
      log(`Failed to get next invocation. Http Response code: ${answer.status}`);
      throw new Error(`Failed to get next invocation, error ${answer.status}`);
    }
    if (!answer.headers["lambda-runtime-aws-request-id"]) {
      log("Failed to find header lambda-runtime-aws-request-id in response");
      throw new Error("Failed to get next invocation, error -1");
    }
    return { headers: answer.headers, body: answer.body.toString("utf8") };
  }

  respond(invocation, body) {
    return this.#postOutcome(invocation, "response", "", body);
  }

  fail(invocation, body, cause) {
    const header = cause ? `Lambda-Runtime-Function-XRay-Error-Cause: ${cause}\r\n` : "";
    return this.#postOutcome(invocation, "error", header, body);
  }

  async initError(body, errorType) {
    const headers = `Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: ${errorType}\r\n`;
    await this.#exchange("POST", "init/error", headers, body);
  }

  async #postOutcome(invocation, outcome, extra, body) {
    if (typeof body !== "string") {
      throw new TypeError("Wrong arguments");
    }
    const path = `invocation/${encodeURIComponent(invocation.id)}/${outcome}`;
    const headers = `Content-Type: application/json\r\n${echo(invocation)}${extra}`;
    try {
      const answer = await this.#exchange("POST", path, headers, body);
      if (answer.status < 200 || answer.status > 299) {
        log(this.wording.refused(answer.status, answer.body));
      }
    } catch {
      // There is nobody to post it to. The next call tries to connect again, and is the one to say so.
    }
  }

  // Until the first await everything here is synchronous, writing included.
  #exchange(method, path, headers, body) {
    const length = method === "POST" ? `Content-Length: ${Buffer.byteLength(body)}\r\n` : "";
    const message = `${method} ${BASE}${path} HTTP/1.1\r\n${this.common}${headers}${length}\r\n${body ?? ""}`;
    // One after the other: a function can answer twice, and the second answer has to wait for the first one's.
    this.#inFlight += 1;
    const answer = this.#inFlight === 1 ? this.#attempt(message) : this.#last.then(() => this.#attempt(message));
    this.#last = answer.then(() => {}, () => {}).finally(() => { this.#inFlight -= 1; });
    return answer;
  }

  // A kept connection may have been closed while the handler worked, and the response must not be lost with it. AWS's
  // client looks at its connection before it sends; node:net cannot without waiting. So a message that got no byte of an
  // answer is sent again on a fresh connection: most likely it never arrived, and a second answer to an event is refused.
  #attempt(message) {
    const kept = this.#socket !== undefined;
    const first = this.#send(message);
    return kept ? first.catch((lost) => lost.answerHasBegun ? Promise.reject(lost) : this.#send(message)) : first;
  }

  #send(message) {
    const socket = this.#socket ?? this.#connect();
    return new Promise((resolve, reject) => {
      this.#reader = new AnswerReader((answer) => {
        this.#reader = undefined;
        // An idle connection must not keep the event loop alive: its emptiness means something (see classic.cjs).
        socket.unref();
        if (answer.headers.connection?.toLowerCase() === "close") {
          this.#socket = undefined;
          socket.destroy();
        }
        resolve(answer);
      }, reject);
      socket.ref();
      socket.write(message);
    });
  }

  #connect() {
    const socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    const lost = () => {
      if (this.#socket === socket) {
        this.#socket = undefined;
        const reader = this.#reader;
        this.#reader = undefined;
        reader?.lost(new ConnectionLost(reader.hasBegun));
      }
    };
    socket.on("data", (bytes) => this.#reader?.push(bytes));
    socket.on("error", lost);
    socket.on("close", lost);
    this.#socket = socket;
    return socket;
  }
}

class ConnectionLost extends Error {
  constructor(answerHasBegun) {
    super("connection to the Runtime API lost");
    this.answerHasBegun = answerHasBegun;
  }
}

// Newer platforms number every attempt; the answer must carry the number of the attempt it belongs to.
function echo(invocation) {
  return invocation.attemptId ? `Lambda-Runtime-Invocation-Id: ${invocation.attemptId}\r\n` : "";
}

// As AWS's client words it, past the patched console.
function log(message) {
  process.stdout.write(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME ${message}\n`);
}

// One HTTP answer, fed piece by piece.
class AnswerReader {
  hasBegun = false;
  #pending = Buffer.alloc(0);
  #parts = [];
  #wanted = 0;
  #step = () => this.#head();
  #answer;

  constructor(done, lost) {
    this.done = done;
    this.lost = lost;
  }

  push(bytes) {
    this.hasBegun = true;
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#step()) {
      // Each step says whether it got what it needed.
    }
  }

  #line() {
    const end = this.#pending.indexOf("\r\n");
    if (end < 0) {
      return undefined;
    }
    const line = this.#pending.toString("utf8", 0, end);
    this.#pending = this.#pending.subarray(end + 2);
    return line;
  }

  #head() {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) {
      return false;
    }
    const [status, ...fields] = this.#pending.toString("utf8", 0, end).split("\r\n");
    this.#pending = this.#pending.subarray(end + 4);
    const headers = {};
    for (const field of fields) {
      const colon = field.indexOf(":");
      headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
    }
    this.#answer = { status: Number(status.split(" ")[1]), headers };
    if (headers["transfer-encoding"]?.toLowerCase() === "chunked") {
      this.#step = () => this.#chunkSize();
    } else {
      this.#wanted = Number(headers["content-length"] ?? 0);
      this.#step = () => this.#bytes(() => this.#finish());
    }
    return true;
  }

  #chunkSize() {
    const line = this.#line();
    if (line === undefined) {
      return false;
    }
    this.#wanted = Number.parseInt(line, 16);
    this.#step = this.#wanted === 0 ? () => this.#trailer() : () => this.#bytes(() => this.#afterChunk());
    return true;
  }

  #afterChunk() {
    this.#step = () => {
      if (this.#line() === undefined) {
        return false;
      }
      this.#step = () => this.#chunkSize();
      return true;
    };
    return true;
  }

  #trailer() {
    const line = this.#line();
    return line === "" ? this.#finish() : line !== undefined;
  }

  // Moves what is there to the parts at once, so that a big body is joined a single time.
  #bytes(then) {
    const taken = this.#pending.subarray(0, this.#wanted);
    this.#pending = this.#pending.subarray(taken.length);
    this.#wanted -= taken.length;
    this.#parts.push(taken);
    return this.#wanted === 0 ? then() : false;
  }

  #finish() {
    this.#answer.body = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.done(this.#answer);
    return false;
  }
}

module.exports = { RuntimeApi };
