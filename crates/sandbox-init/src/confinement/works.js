// What functions in JavaScript do, each of which takes system calls of its own.
const assert = require('assert');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { execFileSync, spawn } = require('child_process');
const { Worker } = require('worker_threads');

process.on('unhandledRejection', (error) => { console.error(error); process.exit(1); });

async function main() {
  const code = "const { parentPort } = require('worker_threads'); parentPort.postMessage(6 * 7)";
  const answers = [1, 2, 3, 4].map(() => new Promise((resolve, reject) => {
    new Worker(code, { eval: true }).on('message', resolve).on('error', reject);
  }));
  assert.deepStrictEqual(await Promise.all(answers), [42, 42, 42, 42]);

  assert.strictEqual(execFileSync('/bin/echo', ['hello']).toString(), 'hello\n');
  const status = await new Promise((resolve) => spawn('/bin/sh', ['-c', 'exit 3']).on('close', resolve));
  assert.strictEqual(status, 3);

  const server = http.createServer((request, response) => request.pipe(response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const body = await new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', method: 'POST' }, (response) => {
      let all = '';
      response.on('data', (part) => { all += part; }).on('end', () => resolve(all));
    });
    request.on('error', reject).end('x'.repeat(100000));
  });
  assert.strictEqual(body.length, 100000);
  server.close();
  server.closeAllConnections?.();

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'works-'));
  const watcher = fs.watch(folder);
  await fs.promises.writeFile(path.join(folder, 'a'), 'a');
  await fs.promises.copyFile(path.join(folder, 'a'), path.join(folder, 'b'));
  watcher.close();
  fs.rmSync(folder, { recursive: true });
  os.networkInterfaces();
  os.cpus();
  require('crypto').randomBytes(16);
  require('zlib').gzipSync('x');
  await require('dns').promises.lookup('localhost');
}

main();
