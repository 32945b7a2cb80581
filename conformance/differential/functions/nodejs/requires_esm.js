const require_esm = require("./esm/app.js"); exports.handler = async () => Object.keys(require_esm);
