"""What functions in Python do, each of which takes system calls of its own."""
import asyncio, ctypes, mmap, multiprocessing, os, select, shutil, signal, socket, sqlite3, ssl, subprocess, sys
import tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(16) as pool:
    assert sum(pool.map(lambda n: n * n, range(100))) == 328350

assert subprocess.run(["/bin/sh", "-c", "echo $((6*7)) | cat"], capture_output=True).stdout == b"42\n"
assert subprocess.run(["/bin/true"], close_fds=False, start_new_session=True).returncode == 0

server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].sendall(b"hi")).start()
assert socket.create_connection(server.getsockname()).recv(2) == b"hi"
socket.getaddrinfo("localhost", 80)
socket.if_nameindex()
a, b = socket.socketpair()
a.send(b"x"), b.recv(1)

folder = tempfile.mkdtemp()
database = sqlite3.connect(folder + "/db")
database.execute("pragma journal_mode=wal")
database.execute("create table t(x)")
database.executemany("insert into t values (?)", [(n,) for n in range(1000)])
database.commit()
assert database.execute("select sum(x) from t").fetchone() == (499500,)
with open(folder + "/mapped", "w+b") as file:
    file.truncate(8192)
    mmap.mmap(file.fileno(), 8192)[0] = 1
shutil.copyfile(folder + "/db", folder + "/copy")
os.mkfifo(folder + "/fifo")
shutil.rmtree(folder)


async def main():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(b"line\n")
        assert await reader.readline() == b"line\n"
    child = await asyncio.create_subprocess_exec("/bin/echo", "x", stdout=subprocess.PIPE)
    assert (await child.communicate())[0] == b"x\n"
    await asyncio.to_thread(time.sleep, 0)


asyncio.run(main())


def double(n):
    return 2 * n


if __name__ == "__main__":
    # Without /dev/shm there are no semaphores, on AWS neither; a pipe does.
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=lambda: there.send(double(21)))
    child.start()
    assert here.recv() == 42
    child.join()

os.memfd_create("x")
os.getrandom(8)
os.sched_getaffinity(0)
signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)
signal.setitimer(signal.ITIMER_REAL, 60)
signal.alarm(0)
select.epoll()
ssl.create_default_context()
assert sys.version_info
