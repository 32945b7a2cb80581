// Failures: the runtime's own (`Runtime.…`), and what any thrown value becomes for the caller, for X-Ray and in the log.
//
// The two generations of AWS's client (see index.mjs) name and shape some of them differently, down to class names, which
// appear in JSON logs. Used by load, stream, classic and modern.
"use strict";

const { types } = require("node:util");

const MODERN = Number.parseInt(process.versions.node, 10) >= 24;
// The platform's proxies refuse longer headers, and with them the whole error.
const CAUSE_LIMIT_BYTES = 1024 * 1024;

// In the classic client the name belongs to the class, in the modern one to the object, set after the stack was captured:
// a classic stack begins with "Runtime.X: …", a modern one with "Error: …".
function runtimeError(type, modernClass = type) {
  const className = MODERN ? modernClass : type;
  if (MODERN) {
    return {
      [className]: class extends Error {
        constructor(message) {
          super(message);
          this.name = `Runtime.${type}`;
        }
      },
    }[className];
  }
  const made = { [className]: class extends Error {} }[className];
  made.prototype.name = `Runtime.${type}`;
  return made;
}

const ImportModuleError = runtimeError("ImportModuleError");
const UserCodeSyntaxError = runtimeError("UserCodeSyntaxError");
const HandlerNotFound = runtimeError("HandlerNotFound", "HandlerNotFoundError");
const MalformedHandlerName = runtimeError("MalformedHandlerName", "MalformedHandlerNameError");
const MalformedStreamingHandler = runtimeError("MalformedStreamingHandler");
const InvalidStreamingOperation = runtimeError("InvalidStreamingOperation");
const CallbackHandlerDeprecated = runtimeError("CallbackHandlerDeprecated", "CallbackHandlerDeprecatedError");
const JSONStringifyError = runtimeError("JSONStringifyError");
const PlatformError = runtimeError("PlatformError");

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}
UnhandledPromiseRejection.prototype.name = "Runtime.UnhandledPromiseRejection";

// The error object for the caller.
function report(error) {
  try {
    if (isError(error)) {
      const trace = MODERN ? (withoutDelete(error.stack)?.split("\n") ?? []) : withoutDelete(error.stack).split("\n");
      return { errorType: withoutDelete(error.name), errorMessage: withoutDelete(error.message), trace };
    }
    return { errorType: typeof error, errorMessage: MODERN ? String(error) : error.toString(), trace: [] };
  } catch {
    return {
      errorType: "handled",
      errorMessage:
        "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack",
      ...(MODERN && { trace: [] }),
    };
  }
}

function isError(value) {
  if (MODERN) {
    return value instanceof Error;
  }
  // Also what only looks like an error, as made by some libraries and other realms.
  return types.isNativeError(value) || ["name", "message", "stack"].every((key) => value?.[key] && typeof value[key] === "string");
}

// DEL is not allowed in a header, and error fields are copied into headers.
function withoutDelete(text) {
  return text?.replaceAll("\x7F", "%7F");
}

// The X-Ray cause; empty when there is none to be had, or none that fits a header.
function cause(error) {
  try {
    const stack = frames(error.stack);
    const text = JSON.stringify({
      working_directory: process.cwd(),
      exceptions: [{ type: withoutDelete(error.name), message: withoutDelete(error.message), stack }],
      paths: [...new Set(stack.map((frame) => frame.path))],
    });
    return Buffer.byteLength(text) < CAUSE_LIMIT_BYTES ? text : "";
  } catch {
    return "";
  }
}

// "at label (path:line:column)" or "at path:line:column". A path that is a URL ends at its first colon, as with AWS's client.
function frames(stack) {
  if (!stack) {
    return [];
  }
  return withoutDelete(stack).split("\n").slice(1).map((text) => {
    const frame = text.trim().replace(/[()]/g, "").replace(/^\S*\s/, "");
    const space = frame.lastIndexOf(" ");
    const [path, line] = frame.slice(space + 1).split(":");
    return { path, line: Number.parseInt(line, 10), label: (space >= 0 && frame.slice(0, space)) || "anonymous" };
  });
}

function intoError(value) {
  return value instanceof Error ? value : new Error(MODERN ? String(value) : value);
}

// The form in which text logs show an error: one line of JSON after a tab.
function toLogLine(error) {
  try {
    return `\t${JSON.stringify(error, (_key, value) => (value instanceof Error ? withHiddenFields(value) : value))}`;
  } catch {
    return `\t${JSON.stringify(report(error))}`;
  }
}

function withHiddenFields(error) {
  const shown = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === "string") {
    shown.stack = error.stack.split("\n");
  }
  return shown;
}

module.exports = { ImportModuleError, UserCodeSyntaxError, HandlerNotFound, MalformedHandlerName, MalformedStreamingHandler, InvalidStreamingOperation, CallbackHandlerDeprecated, JSONStringifyError, PlatformError, UnhandledPromiseRejection, report, cause, intoError, toLogLine };
