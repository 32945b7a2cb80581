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

// The function is required from here, because Node.js names the requiring file in its "Require stack", which users
// know to end in index.mjs.
const require = createRequire(import.meta.url);

if (Number.parseInt(process.versions.node, 10) >= 24) {
  // Not awaited: a failed start must end the process as an unhandled rejection, exit code 1.
  require("./modern.cjs").run(require);
} else {
  await require("./classic.cjs").run(require);
}
