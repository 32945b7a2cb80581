const path = require("shared-in-layer"); exports.handler = async () => path;
