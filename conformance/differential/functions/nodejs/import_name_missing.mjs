import { nothing } from "./values.mjs"; export const handler = async () => nothing;
