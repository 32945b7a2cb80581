exports.handler = async () => "from the folder";
