export const handler = async () => { const const };
