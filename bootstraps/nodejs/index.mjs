// The managed Node.js runtime: entry point.
//
//     node <flags> <runtime_dir>/nodejs/index.mjs
//
// with the working directory at the function's code and the environment of a Lambda function.
//
//     index ──► load       the function named by _HANDLER
//          ├──► classic    Node.js up to 22: callbacks, the event loop decides when an invocation is over
//          └──► modern     Node.js 24 on: promises only
//     both use api (the Runtime API), context, failure, console and stream.
//
// AWS changed its client with Node.js 24, and functions can tell: which of the two runs is decided here, by the interpreter.
import { createRequire } from "node:module";

// Where /opt cannot be mounted the launcher points NODE_PATH elsewhere; the function must not come to depend on this.
delete process.env._FIRESTEEL_OPT;

const modern = Number.parseInt(process.versions.node, 10) >= 24;
const { run } = await (modern ? import("./modern.mjs") : import("./classic.mjs"));

// Made here, because Node.js names the requiring file in its "Require stack", which users know to end in index.mjs.
const require = createRequire(import.meta.url);

if (modern) {
  // Not awaited: a failed start must end the process as an unhandled rejection, exit code 1.
  run(require);
} else {
  await run(require);
}
