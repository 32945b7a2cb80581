setTimeout(() => { throw new Error("timer at load"); }, 200); exports.handler = async () => { await new Promise((r) => setTimeout(r, 60000)); };
