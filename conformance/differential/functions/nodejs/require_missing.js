const { missing } = require("module-that-is-missing"); exports.handler = async () => missing;
