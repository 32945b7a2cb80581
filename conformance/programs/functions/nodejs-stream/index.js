// Streams its response, and waits in the middle of it for a sign of its caller. What is asked of it stands in the event,
// or in the query when it is called through a function URL.

class OrderError extends Error {
  name = "OrderError";
}

exports.handler = awslambda.streamifyResponse(async (event, response) => {
  const { sign, fail } = event.queryStringParameters ?? event;
  const http = awslambda.HttpResponseStream.from(response, {
    statusCode: 201,
    headers: { "content-type": "text/plain", "x-told-by": "nodejs-stream" },
    cookies: ["a=1", "b=2; Path=/"],
  });
  http.write("first");
  await fetch(`http://${process.env.RENDEZVOUS}/${sign}`);
  if (fail) throw new OrderError("no such order: é");
  http.write("second");
  http.end();
});
