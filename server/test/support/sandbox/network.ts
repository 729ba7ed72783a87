// Everything that could be reached, and the one way out.
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import net from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { attacker, type Subject, temporaryFolder, testId, testLimits } from './attacker.ts'

async function listening(
  server: net.Server,
  where: net.ListenOptions,
): Promise<net.AddressInfo | string | null> {
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(where, resolve)
  })
  return server.address()
}

const portOf = (address: unknown): number =>
  typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0

export function networkContract({ driver, skip, stateDir }: Subject): void {
  const { shell, node } = attacker(driver)

  describe('the network', { skip }, () => {
    const servers: { close(): unknown }[] = []
    let tcpPort = 0
    let udpPort = 0
    let touched = 0
    const abstractName = `\0keyward-test-${process.pid}`
    const socketPath = join(stateDir, 'plain.sock')

    before(async () => {
      const touch = (socket: net.Socket) => {
        touched += 1
        socket.destroy()
      }
      const [tcp, abstract, plain] = [
        net.createServer(touch),
        net.createServer(touch),
        net.createServer(touch),
      ]
      tcpPort = portOf(await listening(tcp, { port: 0, host: '127.0.0.1' }))
      await listening(abstract, { path: abstractName })
      await listening(plain, { path: socketPath })
      const udp = dgram.createSocket('udp4', () => {
        touched += 1
      })
      await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
      udpPort = udp.address().port
      servers.push(tcp, abstract, plain, udp)
    })
    after(() => {
      for (const server of servers) server.close()
    })

    const connecting = (options: object) =>
      `require('net').connect(${JSON.stringify(options)}).on('connect', () => console.log('reached')).on('error', (e) => console.log(e.code))`

    test('SAND-2: no listener of the host is reached by TCP, UDP, abstract or plain sockets', async () => {
      for (const options of [
        { port: tcpPort, host: '127.0.0.1' },
        { path: abstractName },
        { path: socketPath },
        { port: 80, host: '192.0.2.1' },
        { port: 80, host: '169.254.169.254' },
      ]) {
        assert.match((await node(connecting(options))).stdoutTail, /^E[A-Z]+\n$/)
      }
      await node(
        `require('dgram').createSocket('udp4').send('x', ${udpPort}, '127.0.0.1', () => process.exit())`,
      )
      assert.equal(touched, 0)
    })

    test('SAND-2: the only interface is its own loopback, and names do not resolve', async () => {
      const result = await shell('tail -n +3 /proc/net/dev; getent hosts example.org || echo unresolved')
      assert.match(result.stdoutTail, /^\s*lo:/)
      assert.match(result.stdoutTail, /unresolved\n$/)
      assert.equal(result.stdoutTail.split('\n').length, 3)
    })

    test('SAND-1: with egress, the proxy variables lead through the relay to the one socket', async (t) => {
      const folder = await temporaryFolder(t)
      const requests: string[] = []
      const proxy = net.createServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', (chunk) => {
          requests.push(String(chunk).split('\r\n')[0] ?? '')
          socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
        })
      })
      t.after(() => proxy.close())
      const egress = { socketPath: join(folder, 'egress.sock'), caPem: '# test authority\n' }
      await listening(proxy, { path: egress.socketPath })
      const script =
        "fetch('https://api.example.org/').catch((e) => console.log('refused')).then(() => console.log(require('fs').readFileSync(process.env.SSL_CERT_FILE, 'utf8').includes('# test authority')))"
      const result = await node(script, { egress })
      assert.deepEqual(requests, ['CONNECT api.example.org:443 HTTP/1.1'])
      assert.equal(result.stdoutTail, 'refused\ntrue\n')
    })

    test('SAND-1: a proxy that starts again in the middle of a run is found again', async (t) => {
      const folder = await temporaryFolder(t)
      const socketPath = join(folder, 'egress.sock')
      const open = async (answer: string) => {
        const server = net.createServer((socket) => {
          socket.on('error', () => undefined)
          socket.end(answer)
        })
        t.after(() => server.close())
        await listening(server, { path: socketPath, readableAll: true, writableAll: true })
        return server
      }
      const first = await open('one')
      let second: Promise<unknown> | undefined
      const script = `
        const again = () => require('net').connect(3128, '127.0.0.1').on('error', () => {}).on('data', (data) => {
          console.log(String(data))
          if (String(data) === 'two') process.exit(0)
        }).on('close', () => setTimeout(again, 50))
        again()`
      const result = await driver.run(
        {
          id: testId(),
          command: ['node', '-e', script],
          env: {},
          limits: testLimits,
          egress: { socketPath, caPem: '' },
        },
        {
          onOutput: () => {
            second ??= new Promise((resolve) => first.close(resolve)).then(() => open('two'))
          },
        },
      )
      await second
      assert.equal(result.exitCode, 0)
      assert.match(result.stdoutTail, /^(one\n)+two\n$/)
    })
  })
}
