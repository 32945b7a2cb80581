let runs = 0; setInterval(() => { runs++; }, 1); exports.handler = async () => { await new Promise((r) => setTimeout(r, 20)); return runs > 1; };
