throw "text at load";
