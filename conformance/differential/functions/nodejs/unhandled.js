Promise.reject(new Error("unhandled at load")); exports.handler = async () => 1;
