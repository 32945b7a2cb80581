// Greets, and says whose runtime client runs it: AWS's is started by its own file in node_modules.
exports.handler = async (event, context) => ({
  message: `Hello, ${event.name}!`,
  requestId: context.awsRequestId,
  client: /[/\\]aws-lambda-ric[/\\]/.test(process.argv[1]) ? "aws-lambda-ric" : "firesteel",
});
