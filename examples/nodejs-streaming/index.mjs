// Greets a name letter by letter. `awslambda` is a global of the Node.js runtime, here as on AWS.

import { setTimeout } from "node:timers/promises";

export const handler = awslambda.streamifyResponse(async (event, response) => {
  // Through a function URL the name is in the query, otherwise in the event itself.
  const name = event.queryStringParameters?.name ?? event.name ?? "world";
  response.setContentType("text/plain; charset=utf-8");
  for (const letter of `Hello, ${name}!\n`) {
    response.write(letter);
    await setTimeout(50);
  }
  response.end();
});
