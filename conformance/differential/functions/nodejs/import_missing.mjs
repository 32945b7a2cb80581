import missing from "module-that-is-missing"; export const handler = async () => missing;
