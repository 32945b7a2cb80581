// Handlers that answer with one value each.
class Loud {
  toJSON() {
    return "from toJSON";
  }
}
const circular = {};
circular.self = circular;

const VALUES = {
  null: null, undefined, true: true, number: 1.5, nan: Number.NaN, text: "plain", empty: "",
  unicode: "h\u00e9llo \u2028 \x7f \u{1F600} </script>", surrogate: "\ud800", control: "\0\x1f\t\"\\",
  nested: { a: [1, { b: [[], {}] }], u: undefined, f() {} }, date: new Date(0), buffer: Buffer.from("x"), map: new Map([[1, 2]]),
  tojson: new Loud(), circular, bigint: 10n, function: () => 1, symbol: Symbol("s"), error: new Error("as a value"),
  big: "x".repeat(3 * 1024 * 1024), proxy: new Proxy({ a: 1 }, {}),
};

export const handler = async (event) => VALUES[event.value];
export const sync = (event) => VALUES[event.value];
export const echo = async (event) => event;
export const thenable = () => ({ then: (resolve) => resolve("thenable") });
export const nested = { deeper: { handler: async () => "nested" } };
export const notFunction = 3;
export const none = undefined;
export default { inDefault: async () => "in default" };
