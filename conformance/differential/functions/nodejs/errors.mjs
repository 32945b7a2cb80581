// Handlers that fail, each in another way.
class CustomError extends Error {
  constructor(message) {
    super(message);
    this.name = "CustomError";
    this.code = "E_CUSTOM";
    this.detail = { a: 1 };
  }
}
class Named extends Error {}

export const plain = async () => { throw new Error("something is wrong"); };
export const sync = () => { throw new TypeError("thrown synchronously"); };
export const custom = async () => { throw new CustomError("custom"); };
export const subclass = async () => { throw new Named("subclass"); };
export const text = async () => { throw "just text"; };
export const number = async () => { throw 42; };
export const object = async () => { throw { a: 1 }; };
export const nothing = async () => { throw null; };
export const undef = async () => { throw undefined; };
export const lookalike = async () => { throw { name: "Look", message: "alike", stack: "Look: alike\n    at nowhere (file.js:1:2)" }; };
export const noStack = async () => { const error = new Error("no stack"); error.stack = undefined; throw error; };
export const noPrototype = async () => { throw Object.create(null); };
export const badGetter = async () => { throw Object.defineProperty(new Error("x"), "message", { get() { throw new Error("getter"); } }); };
export const circular = async () => { const error = new Error("circular"); error.self = error; throw error; };
export const withCause = async () => { throw new Error("outer", { cause: new Error("inner") }); };
export const aggregate = async () => { throw new AggregateError([new Error("one"), new Error("two")], "many"); };
export const multiLine = async () => { throw new Error("first\n  second\n\tthird \u00e9"); };
export const del = async () => { throw new Error("del \x7f here"); };
export const unicode = async () => { throw new Error("caf\u00e9 \u4e2d"); };
export const deep = async () => {
  const level = (n) => { if (n === 0) { throw new Error("deep"); } level(n - 1); };
  level(3);
};
export const recursion = async () => { const again = () => again(); again(); };
export const json = async () => JSON.parse("{nope");
export const huge = async () => { throw new Error("m".repeat(2 * 1024 * 1024)); };
export const late = async () => { await null; throw new Error("after an await"); };
export const exit = async (event) => { process.exit(event.code); };
export const exitAfterTimer = async () => { setTimeout(() => process.exit(4), 5); await new Promise((r) => setTimeout(r, 60000)); };
export const abort = async () => { process.kill(process.pid, "SIGKILL"); await new Promise((r) => setTimeout(r, 60000)); };
export const rejection = async () => { Promise.reject(new Error("nobody catches this")); await new Promise((r) => setTimeout(r, 60000)); };
export const rejectionText = async () => { Promise.reject("text nobody catches"); await new Promise((r) => setTimeout(r, 60000)); };
export const uncaught = async () => { setTimeout(() => { throw new Error("from a timer"); }, 1); await new Promise((r) => setTimeout(r, 60000)); };
export const uncaughtText = async () => { setTimeout(() => { throw "text from a timer"; }, 1); await new Promise((r) => setTimeout(r, 60000)); };
export const emitter = async () => {
  const { EventEmitter } = await import("node:events");
  setImmediate(() => new EventEmitter().emit("error", new Error("emitted")));
  await new Promise((r) => setTimeout(r, 60000));
};
export const twoStep = async (event) => { if (event.fail) { throw new Error("this one"); } return "fine"; };
export const never = () => new Promise(() => {});
