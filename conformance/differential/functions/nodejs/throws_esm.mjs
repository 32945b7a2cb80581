throw new Error("at load, esm");
