// From the handler's name to the function.
//
//     "path/to/file.export.nested" ──► file: as it is, .js, .mjs, .cjs, then as a package ──► export
//
// Called once, at init. `user` has the `require` and the `import` of index.mjs, see there.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { HandlerNotFound, ImportModuleError, MalformedHandlerName, MalformedStreamingHandler, UserCodeSyntaxError } = require("./failure.cjs");

const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HIGH_WATER_MARK = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");

// `open(file, user)` is the generation's way of opening a module, `pick(module, exportName)` its way of finding the export.
async function load(name, root, user, { open, pick }) {
  const { folder, file, exportName } = split(name);
  let module;
  try {
    module = await open(path.resolve(root, folder, file), user)
      ?? user.require(user.require.resolve(file, { paths: [root, path.resolve(root, folder)] }));
  } catch (error) {
    throw loadError(error);
  }
  const handler = pick(module, exportName);
  if (!handler) {
    throw new HandlerNotFound(`${name} is undefined or not exported`);
  }
  if (typeof handler !== "function") {
    throw new HandlerNotFound(`${name} is not a function`);
  }
  return handler;
}

function split(name) {
  if (name.includes("..")) {
    throw new MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(name);
  const dot = base.indexOf(".");
  if (dot < 0) {
    throw new MalformedHandlerName("Bad handler");
  }
  return { folder: name.slice(0, name.indexOf(base)), file: base.slice(0, dot), exportName: base.slice(dot + 1) };
}

function loadError(error) {
  if (error instanceof SyntaxError) {
    const wrapped = new UserCodeSyntaxError(error);
    if (Object.hasOwn(wrapped, "name")) {
      wrapped.stack = error.stack; // the modern client points at the user's line
    }
    return wrapped;
  }
  return error?.code === "MODULE_NOT_FOUND" ? new ImportModuleError(error) : error;
}

// Up to Node.js 22: CommonJS where it can be, so that `require` hooks and caches see the function.
const classic = {
  async open(file, user) {
    if (fs.existsSync(file)) {
      return user.require(file);
    }
    const candidates = [
      [".js", isModuleFolder(path.dirname(file)) ? importFile : user.require],
      [".mjs", importFile],
      [".cjs", user.require],
    ];
    for (const [extension, opener] of candidates) {
      const module = fs.existsSync(file + extension) && await opener(file + extension, user);
      if (module) {
        return module;
      }
    }
    return undefined;
  },
  pick: (module, exportName) => exportName.split(".").reduce((found, key) => found && found[key], module),
};

// From Node.js 24 on: always `import`, whose namespace has CommonJS exports under `default` as well.
const modern = {
  async open(file, user) {
    for (const extension of ["", ".js", ".mjs", ".cjs"]) {
      if (fs.existsSync(file + extension)) {
        return importFile(file + extension, user);
      }
    }
    return undefined;
  },
  pick: (module, exportName) => findIn(module, exportName) ?? (module !== null && typeof module === "object" ? findIn(module.default, exportName) : undefined),
};

function findIn(module, exportName) {
  return exportName.split(".").reduce((found, key) => (found && typeof found === "object" ? found[key] : undefined), module);
}

function importFile(file, user) {
  return user.import(pathToFileURL(file).href);
}

// The nearest package.json says what a .js file is.
function isModuleFolder(folder) {
  if (folder.endsWith("/node_modules")) {
    return false;
  }
  const file = path.join(folder, "package.json");
  if (fs.existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file)).type === "module";
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder !== "/" && isModuleFolder(path.dirname(folder));
}

// What `awslambda.streamifyResponse` has left on the handler: undefined, or the stream's options.
function streamingOptions(handler) {
  if (!handler[STREAMING]) {
    return undefined;
  }
  if (handler[STREAMING] !== "response") {
    throw new MalformedStreamingHandler("Only response streaming is supported.");
  }
  const highWaterMark = Number.parseInt(handler[HIGH_WATER_MARK], 10);
  return { highWaterMark: Number.isNaN(highWaterMark) ? undefined : highWaterMark };
}

function streamifyResponse(handler, options) {
  handler[STREAMING] = "response";
  if (typeof options?.highWaterMark === "number") {
    handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
  }
  return handler;
}

module.exports = { load, classic, modern, streamingOptions, streamifyResponse };
