// Greets event.name and logs one line.

export const handler = async (event, context) => {
  const name = event.name ?? "world";
  console.log(JSON.stringify({ greeting: name, remainingMs: context.getRemainingTimeInMillis() }));
  return { message: `Hello, ${name}!`, requestId: context.awsRequestId };
};
