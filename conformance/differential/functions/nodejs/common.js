exports.handler = async () => ({ commonjs: true, main: require.main === undefined, name: require("path").basename(__filename) });
