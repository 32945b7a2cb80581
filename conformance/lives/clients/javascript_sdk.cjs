// Asks through @aws-sdk/client-lambda: one JSON request a line on standard input, one JSON answer a line on standard
// output. The arguments are a folder whose node_modules has the SDK, and the endpoint. The protocol is described in
// `client.py` of the folder above.
"use strict";

const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");
const [, , folder, endpoint] = process.argv;
const sdk = createRequire(`${folder}/`)("@aws-sdk/client-lambda");

// An answer is observed as it is, so nothing is tried again.
const client = new sdk.LambdaClient({ endpoint, maxAttempts: 1 });

async function perform({ do: what, operation, members }) {
  if (what === "wait") {
    await sdk[`waitUntil${operation}`]({ client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, members);
    return {};
  }
  if (what === "pages") {
    const { MaxItems: pageSize, ...others } = members;
    const pages = [];
    for await (const page of sdk[`paginate${operation}`]({ client, pageSize }, others)) pages.push(await plain(page));
    return pages;
  }
  return plain(await client.send(new sdk[`${operation}Command`](members)));
}

async function plain(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) return value.toISOString();
  if (typeof value?.[Symbol.asyncIterator] === "function") {
    const events = [];
    for await (const event of value) events.push(await plain(event));
    return events;
  }
  if (Array.isArray(value)) return Promise.all(value.map(plain));
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).filter(([name]) => name !== "$metadata");
  return Object.fromEntries(await Promise.all(members.map(async ([name, member]) => [name, await plain(member)])));
}

function refused(error) {
  return {
    code: error.name,
    message: error.message,
    // The generic class if the API's model does not have the code.
    caught_as: error.constructor.name,
    status: error.$metadata.httpStatusCode,
    Type: error.Type ?? null,
    Reason: error.Reason ?? null,
    retryAfterSeconds: error.retryAfterSeconds ?? null,
  };
}

const blobOf = (_name, value) => (value?.$bytes === undefined ? value : Buffer.from(value.$bytes, "base64"));

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    let seen;
    try {
      seen = { answer: (await perform(JSON.parse(line, blobOf))) ?? {} };
    } catch (error) {
      seen = error instanceof sdk.LambdaServiceException ? { refused: refused(error) } : { broken: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(seen)}\n`);
  }
  client.destroy();
})();
