// Handlers that report on the context object, the process and the environment.
export const attributes = async (event, context) => ({
  keys: Object.keys(context),
  ...context,
  remaining: [typeof context.getRemainingTimeInMillis(), context.getRemainingTimeInMillis() > 1000000],
  types: Object.fromEntries(Object.entries(context).map(([key, value]) => [key, typeof value])),
  trace: process.env._X_AMZN_TRACE_ID ?? null,
});
export const printed = async (event, context) => { console.log(context); };
export const past = async (event, context) => context.getRemainingTimeInMillis() < 0;
export const client = async (event, context) => [context.clientContext, context.identity];
export const environment = async () => ({
  cwd: process.cwd() === process.env.LAMBDA_TASK_ROOT,
  private: Object.keys(process.env).filter((name) => name.startsWith("_")).sort(),
  awslambda: typeof globalThis.awslambda === "undefined" ? null : Object.keys(globalThis.awslambda).sort(),
  listeners: ["uncaughtException", "unhandledRejection", "beforeExit"].map((name) => process.listenerCount(name)),
  globals: Object.getOwnPropertySymbols(globalThis).filter((symbol) => symbol.description?.startsWith("firesteel")).length,
});
export const store = async () => {
  const store = globalThis.awslambda?.InvokeStore;
  if (!store) {
    return null;
  }
  let refused = null;
  try {
    store.set(Symbol.for("_AWS_LAMBDA_REQUEST_ID"), 1);
  } catch (error) {
    refused = error.message;
  }
  store.set("mine", 5);
  return [store.getRequestId(), store.getXRayTraceId(), store.getTenantId() ?? null, store.get("mine"), store.hasContext(), refused];
};
