export const handler = async () => "inner esm js";
