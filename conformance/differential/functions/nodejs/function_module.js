module.exports = async () => "the module itself"; module.exports.handler = async () => "property of a function";
