// `awslambda.InvokeStore`, from Node.js 24 on: where tracing and logging libraries look up the running invocation.
//
// One environment serves one invocation at a time, so the store is one object, not an async-local one. Made by modern.cjs.
"use strict";

const REQUEST_ID = Symbol.for("_AWS_LAMBDA_REQUEST_ID");
const TRACE_ID = Symbol.for("_AWS_LAMBDA_X_RAY_TRACE_ID");
const TENANT_ID = Symbol.for("_AWS_LAMBDA_TENANT_ID");

class InvokeStore {
  #context;

  static contextOf(invocation) {
    return { [REQUEST_ID]: invocation.id, [TRACE_ID]: invocation.traceId };
  }

  run(context, work) {
    this.#context = context;
    return work();
  }

  getContext() {
    return this.#context;
  }

  hasContext() {
    return this.#context !== undefined;
  }

  get(key) {
    return this.#context?.[key];
  }

  set(key, value) {
    if ([REQUEST_ID, TRACE_ID, TENANT_ID].includes(key)) {
      throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    }
    this.#context ??= {};
    this.#context[key] = value;
  }

  getRequestId() {
    return this.get(REQUEST_ID) ?? "-";
  }

  getXRayTraceId() {
    return this.get(TRACE_ID);
  }

  getTenantId() {
    return this.get(TENANT_ID);
  }
}

module.exports = { InvokeStore };
