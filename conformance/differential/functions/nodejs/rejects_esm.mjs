await Promise.reject(new Error("awaited at load")); export const handler = 1;
