// The managed Node.js runtime: entry point.
//
//     node <flags> <runtime_dir>/nodejs/index.mjs
//
// with the working directory at the function's code and the environment of a Lambda function.
//
//     index ──┬─► classic    Node.js up to 22: callbacks, the event loop decides when an invocation is over
//             └─► modern     Node.js 24 on: promises only
//                  │
//                  └─► load (the function named by _HANDLER), api (the Runtime API), context, failure, console, stream
//
// AWS changed its client with Node.js 24, and functions can tell: which of the two runs is decided here, by the interpreter. The parts
// are CommonJS, which Node.js loads a good deal faster than as many ES modules.
import { createRequire } from "node:module";

// Where /opt cannot be mounted the launcher points NODE_PATH elsewhere; the function must not come to depend on this.
delete process.env._FIRESTEEL_OPT;

// The function is loaded from here and not from load.cjs: Node.js names the loading file in its "Require stack", which users know
// to end in index.mjs, and an import from CommonJS leaves other frames in stack traces.
const user = { require: createRequire(import.meta.url), import: (url) => import(url) };
const { require } = user;

if (Number.parseInt(process.versions.node, 10) >= 24) {
  // Not awaited: a failed start must end the process as an unhandled rejection, exit code 1.
  require("./modern.cjs").run(user);
} else {
  await require("./classic.cjs").run(user);
}
