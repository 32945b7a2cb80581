// Streaming handlers.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const stream = (handler, options) => globalThis.awslambda.streamifyResponse(handler, options);

export const plain = stream(async (event, response) => { response.write("one "); response.write("two"); response.end(); });
export const typed = stream(async (event, response) => { response.setContentType("text/plain"); response.write("typed"); response.end(); });
export const typedLate = stream(async (event, response) => { response.write("x"); response.setContentType("text/plain"); });
export const ended = stream(async (event, response) => { response.end("all at the end"); });
export const empty = stream(async (event, response) => { response.end(); });
export const prelude = stream(async (event, response) => {
  const http = globalThis.awslambda.HttpResponseStream.from(response, { statusCode: 201, headers: { "x-a": "b" }, cookies: ["a=1"] });
  http.write("body");
  http.end();
});
export const preludeOnly = stream(async (event, response) => {
  const http = globalThis.awslambda.HttpResponseStream.from(response, { statusCode: 204 });
  http.write("");
  http.end();
});
export const piped = stream(async (event, response) => { await pipeline(Readable.from(["a", "b", "c"]), response); });
export const bytes = stream(async (event, response) => { response.write(Buffer.from([0, 1, 255])); response.write(new Uint8Array([1, 2])); response.end(); });
export const object = stream(async (event, response) => { response.write({ an: "object" }); response.write([1]); response.end(); });
export const big = stream(async (event, response) => {
  for (let i = 0; i < 64; i++) {
    if (!response.write("x".repeat(65536))) {
      await new Promise((resolve) => response.once("drain", resolve));
    }
  }
  response.end();
}, { highWaterMark: 65536 });
export const failsAtOnce = stream(async () => { throw new Error("before the first byte"); });
export const failsLater = stream(async (event, response) => { response.write("some bytes"); throw new TypeError("in mid-stream \u00e9"); });
export const failsText = stream(async (event, response) => { response.write("some bytes"); throw "just text"; });
export const returns = stream(async (event, response) => { response.end("x"); return "ignored"; });
export const notAsync = stream((event, response) => { response.end("x"); });
export const throwsSync = stream(() => { throw new Error("synchronous"); });
export const threeArguments = stream(async (event, response, context) => { response.end(JSON.stringify(Object.keys(context))); });
export const surface = stream(async (event, response) => {
  const names = Object.getOwnPropertyNames(response).filter((name) => name !== "writableBuffer" && name !== "_onBeforeFirstWrite").sort();
  response.end(JSON.stringify([names, response.writable, response.writableEnded, response.writableHighWaterMark > 0]));
});
export const finishListener = stream(async (event, response) => {
  response.on("finish", () => console.log("finished"));
  response.end("x");
});
