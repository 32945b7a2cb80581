exports.handler = async () => require("dependency");
