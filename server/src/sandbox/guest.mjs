// Runs inside the sandbox, as its unprivileged user, by the Node binary that is mounted there. It fills /workspace, joins
// 127.0.0.1:3128 to the egress socket, runs the command, and hands the workspace back. It shares its user with the command,
// so nothing that it says is trusted outside: the host checks every frame. Its control channel is a socket that it inherits;
// started with the word `stdio`, where a container engine hands over no other stream, it is standard input and output.
import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  createReadStream,
  promises as files,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
} from 'node:fs'
import { createConnection, createServer, Socket } from 'node:net'
import { dirname, join } from 'node:path'

const controlFd = 6
/** O_CLOEXEC, as /proc shows it. */
const closeOnExec = 0o2000000
closeInherited()
const workspace = '/workspace'
const overStdio = process.argv.at(-1) === 'stdio'
const control = overStdio ? undefined : new Socket({ fd: controlFd, readable: true, writable: true })
const incoming = control ?? process.stdin
const outgoing = control ?? process.stdout

/**
 * Closes what the server itself had inherited from whoever started it. Node's own descriptors are closed on exec; one that
 * is not has come from outside.
 */
function closeInherited() {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (fd <= 2 || fd === controlFd) continue
    let info = ''
    try {
      info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    } catch {
      // The one that listed the folder is closed by now.
      continue
    }
    const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8)
    if ((flags & closeOnExec) === 0) closeSync(fd)
  }
}

/** Reads header lines and the raw bytes that follow some of them. */
function frameReader(stream) {
  const chunks = stream[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  const more = async () => {
    const { value, done } = await chunks.next()
    if (done) throw new Error('the control channel ended early')
    return value
  }
  return {
    async header() {
      let end = held.indexOf(10)
      while (end < 0) {
        held = Buffer.concat([held, await more()])
        end = held.indexOf(10)
      }
      const line = held.subarray(0, end).toString('utf8')
      held = held.subarray(end + 1)
      return JSON.parse(line)
    },
    async body(size, take) {
      let left = size
      while (left > 0) {
        if (held.length === 0) held = await more()
        const part = held.subarray(0, left)
        held = held.subarray(part.length)
        left -= part.length
        await take(part)
      }
    },
  }
}

const headerOf = (frame) => Buffer.from(`${JSON.stringify(frame)}\n`)
const framed = (frame, part) => Buffer.concat([headerOf({ ...frame, size: part.length }), part])
const writing = (stream) => (bytes) =>
  new Promise((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())))
const write = writing(outgoing)
const say = (frame) => write(headerOf(frame))

async function unpack(reader) {
  for (;;) {
    const entry = await reader.header()
    if (entry.kind === 'end') return
    const path = join(workspace, entry.path)
    if (entry.kind === 'directory') await files.mkdir(path, { mode: 0o755 })
    else if (entry.kind === 'link') await files.symlink(entry.target, path)
    else await unpackFile(reader, path, entry)
  }
}

async function unpackFile(reader, path, { size, executable }) {
  const file = await files.open(path, 'wx', executable ? 0o755 : 0o644)
  try {
    await reader.body(size, (part) => file.writeFile(part))
  } finally {
    await file.close()
  }
}

function relay({ port, socketPath }) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inner) => {
    const outer = createConnection({ path: socketPath, allowHalfOpen: true })
    inner.on('error', () => outer.destroy())
    outer.on('error', () => inner.destroy())
    inner.pipe(outer)
    outer.pipe(inner)
  })
  return listen(server, port)
}

function listen(server, at) {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    if (typeof at === 'number') server.listen(at, '127.0.0.1', resolve)
    else server.listen(at, resolve)
  })
}

/** A place that leads to one destination: the proxy is asked for the way there, and then both sides hear each other. */
function lead({ at, to }, socketPath) {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (inner) => {
    const outer = createConnection({ path: socketPath, allowHalfOpen: true })
    inner.on('error', () => outer.destroy())
    outer.on('error', () => inner.destroy())
    outer.on('close', () => outer.readableEnded || inner.destroy())
    inner.on('close', () => outer.destroy())
    outer.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`)
    let head = Buffer.alloc(0)
    outer.on('data', function read(chunk) {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      outer.off('data', read)
      outer.pause()
      if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) return outer.destroy()
      outer.unshift(head.subarray(end + 4))
      inner.pipe(outer)
      outer.pipe(inner)
    })
  })
  return listen(server, at)
}

/** Readable by nobody else, as `ssh` wants its files to be. */
async function furnish(home, contents) {
  for (const [path, content] of Object.entries(contents)) {
    const file = join(home, path)
    await files.mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await files.writeFile(file, content, { mode: 0o600 })
  }
}

const tunnelled = new Map()
/** The command is over: nothing may come between the parts of a file that is handed back. */
let isOver = false

/** A socket of the guest's own in place of one that is mounted: what comes to it travels as frames to the host. */
function openTunnel(path) {
  let last = 0
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, async (socket) => {
    const id = last++
    tunnelled.set(id, socket)
    socket.on('error', () => {})
    socket.once('close', () => tunnelled.delete(id))
    if (isOver) return socket.destroy()
    await say({ kind: 'connect', id })
    try {
      for await (const part of socket.iterator({ destroyOnReturn: false }))
        if (!isOver) await write(framed({ kind: 'data', id }, part))
    } catch {
      // It broke: for the other side that is its end.
    }
    if (!isOver) await say({ kind: 'closed', id })
  })
  return listen(server, path)
}

/** What the host says after its order, until it goes away. */
async function hearHost(reader) {
  for (;;) {
    const frame = await reader.header().catch(() => undefined)
    if (!frame) return
    const socket = tunnelled.get(frame.id)
    if (frame.kind === 'closed') socket?.end()
    if (frame.kind === 'data')
      await reader.body(frame.size, (part) => {
        if (!socket?.writable || socket.write(part)) return
        return new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
      })
  }
}

/** A container engine gives one writable place; a driver that mounts them one by one has made these. */
async function makePlaces({ root, folders, texts }) {
  for (const { name, mode } of folders) {
    const path = join(root, name)
    // Apart from the mask of the process; one that stands there already belongs to somebody who meant it so.
    const made = await files.mkdir(path).then(
      () => true,
      () => false,
    )
    if (made) await files.chmod(path, mode)
  }
  for (const { path, text } of texts) await files.writeFile(path, text, { mode: 0o444 })
}

/**
 * Node would give the command sockets, which cannot be opened again as /dev/stdout, as scripts like to. A named pipe can.
 */
function outlet(target, stream) {
  const path = `/run/keyward-${target.fd}`
  spawnSync('mkfifo', ['-m', '0600', path], { env: { PATH: '/usr/bin:/bin' } })
  // Opened both ways first, so that neither end finds the other missing.
  const holder = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const reader = new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) })
  const writer = openSync(path, constants.O_WRONLY)
  unlinkSync(path)
  const drained = forward(
    reader,
    overStdio ? (part) => write(framed({ kind: 'output', stream }, part)) : writing(target),
  )
  return {
    writer,
    drained,
    release() {
      closeSync(holder)
      closeSync(writer)
    },
  }
}

/** Ends when the last part has left this process: the host ends the sandbox soon after it has heard of the exit. */
async function forward(reader, send) {
  for await (const part of reader) await send(part)
}

/** The shell closes the control channel, so that the command starts with the three standard streams only. */
async function run({ command, env }, outlets) {
  const child = spawn('/bin/sh', ['-c', `exec "$@" ${controlFd}>&-`, 'sh', ...command], {
    cwd: workspace,
    env,
    stdio: ['ignore', ...outlets.map(({ writer }) => writer)],
  })
  for (const { release } of outlets) release()
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
  // Everybody else in this process namespace, so that nothing changes the workspace while it is read.
  try {
    process.kill(-1, 'SIGKILL')
  } catch {
    // ESRCH: nobody else is left.
  }
  await Promise.all(outlets.map(({ drained }) => drained))
  return status
}

async function pack(folder, prefix) {
  for (const entry of await files.readdir(folder, { withFileTypes: true })) {
    const path = prefix + entry.name
    const full = join(folder, entry.name)
    if (entry.isDirectory()) {
      await say({ kind: 'directory', path })
      await pack(full, `${path}/`).catch((error) => say({ kind: 'left', path, reason: error.code }))
    } else if (entry.isFile()) await packFile(full, path)
    else await say({ kind: 'left', path, reason: entry.isSymbolicLink() ? 'link' : 'special' })
  }
}

async function packFile(full, path) {
  let file
  try {
    file = await files.open(full, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    await say({ kind: 'left', path, reason: error.code })
    return
  }
  const { size, mode } = await file.stat()
  await say({ kind: 'file', path, size, executable: (mode & 0o100) !== 0 })
  if (size === 0) return file.close()
  for await (const part of createReadStream('', { fd: file, start: 0, end: size - 1 })) await write(part)
}

/** The two pipes of the command's output were files too, and are gone by now. gVisor counts no files, and says 0 of 0. */
async function isFull() {
  const { bavail, ffree, files: most } = await files.statfs(workspace)
  return bavail === 0 || (most > 0 && ffree <= 2)
}

const makeOutlets = () => [outlet(process.stdout, 'stdout'), outlet(process.stderr, 'stderr')]

async function main() {
  const reader = frameReader(incoming)
  // Ready when the order comes, where /run is there before it.
  const made = overStdio ? undefined : makeOutlets()
  await say({ kind: 'ready' })
  const order = await reader.header()
  if (order.places) await makePlaces(order.places)
  await unpack(reader)
  const ended = overStdio ? hearHost(reader) : undefined
  // The server is gone, and nobody else ends a container.
  void ended?.then(() => process.exit(71))
  if (order.home) await furnish(order.env.HOME, order.home)
  if (order.tunnel) await openTunnel(order.relay.socketPath)
  if (order.relay) await relay(order.relay)
  for (const way of order.relay?.ways ?? []) await lead(way, order.relay.socketPath)
  await say({ kind: 'started' })
  const { code, signal } = await run(order, made ?? makeOutlets())
  isOver = true
  await say({ kind: 'exited', code, signal, full: await isFull() })
  if (order.handBack) await pack(workspace, '')
  await say({ kind: 'end' })
  // The host looks at the control groups of the container before they are gone.
  await ended
  process.exit(code ?? 0)
}

main().catch(async (error) => {
  await say({ kind: 'failed', reason: String(error.message).slice(0, 1000) }).catch(() => {})
  process.exit(70)
})
