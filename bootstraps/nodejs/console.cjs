// The function's console.
//
//     console.log … ──► level filter ──► one record, text or JSON ──► stdout, or framed on a descriptor
//
// Text:  <ISO time> TAB <request id> TAB <LEVEL> TAB <message>. On stdout a record is one line: its line breaks become CR.
// Installed before the function is loaded. What is written to process.stdout directly is left alone.
"use strict";

const fs = require("node:fs");
const { format } = require("node:util");
const { intoError, toLogLine } = require("./failure.cjs");

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const FRAME_TEXT = 0xa55a0003;
const FRAME_JSON = 0xa55a0002;

// `current()` gives { requestId, tenantId } of the invocation being served.
// Returns the function that logs an uncaught error under a heading.
function install(current) {
  const asJson = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";
  const record = asJson ? jsonRecord : textRecord;
  const write = sink(asJson);
  const lowest = Math.max(0, LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()));

  LEVELS.forEach((level, priority) => {
    console[level.toLowerCase()] = priority < lowest ? () => {} : (message, ...params) => {
      const time = new Date();
      write(record(time.toISOString(), current(), level, message, params), priority, time);
    };
  });
  console.log = console.info;

  return asJson
    ? (_heading, error) => console.error(intoError(error))
    : (heading, error) => console.error(heading, toLogLine(intoError(error)));
}

function textRecord(time, { requestId }, level, message, params) {
  return `${time}\t${requestId}\t${level}\t${format(message, ...params)}`;
}

function jsonRecord(time, { requestId, tenantId }, level, message, params) {
  const record = { timestamp: time, level, requestId, ...(tenantId && { tenantId }) };
  if (params.length > 0) {
    const error = [message, ...params].find((value) => value instanceof Error);
    return JSON.stringify({ ...record, message: format(message, ...params), ...(error && errorFields(error, [])) });
  }
  try {
    const shown = (_key, value) => (value instanceof Error ? { ...errorFields(value, value.stack), ...value } : value);
    return JSON.stringify({ ...record, message }, shown);
  } catch {
    return JSON.stringify({ ...record, message: format(message) });
  }
}

function errorFields(error, otherStack) {
  return {
    errorType: error.constructor?.name ?? "UnknownError",
    errorMessage: error.message,
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : otherStack,
  };
}

function sink(asJson) {
  const descriptor = Number.parseInt(process.env._LAMBDA_TELEMETRY_LOG_FD, 10);
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  if (Number.isNaN(descriptor)) {
    return (text) => process.stdout.write(`${text.replaceAll("\n", "\r")}\n`);
  }
  // Type, length, time in microseconds, text; big-endian. The level is in bits 2 to 4 of the type.
  const head = Buffer.alloc(16);
  return (text, priority, time) => {
    const message = Buffer.from(asJson ? text : `${text}\n`);
    head.writeUInt32BE(((asJson ? FRAME_JSON : FRAME_TEXT) | ((priority + 1) << 2)) >>> 0, 0);
    head.writeUInt32BE(message.length, 4);
    head.writeBigUInt64BE(BigInt(time.getTime()) * 1000n, 8);
    fs.writeSync(descriptor, head);
    fs.writeSync(descriptor, message);
  };
}

module.exports = { install };
