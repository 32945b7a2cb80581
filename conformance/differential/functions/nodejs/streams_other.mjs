export const handler = async () => 1;
handler[Symbol.for("aws.lambda.runtime.handler.streaming")] = "request";
