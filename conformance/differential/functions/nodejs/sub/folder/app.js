exports.handler = async () => "sub folder";
