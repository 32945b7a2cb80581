// Handlers that write.
console.log("module loading");
class Custom extends Error {}

export const levels = async () => {
  for (const level of ["trace", "debug", "info", "log", "warn", "error", "fatal"]) {
    console[level](`by ${level}`);
  }
};
export const formats = async () => {
  console.log("%s has %d items, %j %o", "it", 3, { a: 1 }, [1]);
  console.log("two", "words", { nested: { a: { b: { c: 1 } } } }, [1, "x"], null, undefined, 5n, Symbol("s"));
  console.log({ an: "object", date: new Date(0) });
  console.log("multi\nline", "h\u00e9 \u{1F600}");
  console.log();
  console.log(undefined);
  console.log(null);
  console.log(42);
  console.log(["list"]);
  console.log("carriage\rreturn");
  console.log("100%");
  console.log(10n);
};
export const errors = async () => {
  const error = new Custom("logged");
  error.code = "E_CODE";
  console.error(error);
  console.error("with text", error);
  console.error({ wrapped: error });
  console.error(error, "after");
  const noStack = new Error("no stack");
  noStack.stack = undefined;
  console.error(noStack);
  console.error("two", new Error("first"), new TypeError("second"));
};
export const circular = async () => { const a = { b: 1 }; a.a = a; console.log(a); console.log("text", a); };
export const direct = async () => {
  process.stdout.write("raw stdout\nmulti\n");
  process.stderr.write("raw stderr\n");
  process.stdout.write("no newline");
  console.log(" then the console");
};
export const untouched = async () => {
  console.table([{ a: 1 }]);
  console.dir({ a: 1 });
  console.assert(false, "asserted");
  console.group("group");
  console.log("inside");
  console.groupEnd();
  console.count("counter");
};
export const thenFail = async () => { console.log("before failing"); throw new Error("failed"); };
export const afterAnswer = async () => { setImmediate(() => console.log("after the answer")); return 1; };
