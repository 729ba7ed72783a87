// mitmproxy with an addon that does the part of Keyward's work which a script of a few lines can do: a placeholder in a header is
// exchanged, the value is taken out of the answer. It decides nothing, records nothing, and looks for the plain value only.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Workbench } from './servers.ts'

type Job = {
  readonly host: string
  readonly port: number
  readonly caPem: string
  readonly placeholder: string
  readonly value: string
}
export type Mitmproxy = { readonly port: number; readonly pid: number; readonly caPem: string }

/** The version of the `mitmdump` on the path. */
export const mitmproxyVersion = (): string | undefined =>
  /Mitmproxy: (\S+)/.exec(spawnSync('mitmdump', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]

const addon = ({ host, port, placeholder, value }: Job): string => `
PLACEHOLDER, VALUE, MARK = ${JSON.stringify([placeholder, value, '[redacted by Keyward]']).slice(1, -1)}

def server_connect(data):
    if data.server.address[0] == ${JSON.stringify(host)}:
        data.server.address = ("127.0.0.1", ${port})

def request(flow):
    for name, text in flow.request.headers.items():
        if PLACEHOLDER in text:
            flow.request.headers[name] = text.replace(PLACEHOLDER, VALUE)

def response(flow):
    value = VALUE.encode()
    if value in flow.response.content:
        flow.response.content = flow.response.content.replace(value, MARK.encode())
`

export async function startMitmproxy(bench: Workbench, job: Job): Promise<Mitmproxy> {
  const port = await freePort()
  const confdir = join(bench.folder, 'mitmproxy')
  mkdirSync(confdir)
  const script = join(bench.folder, 'exchange.py')
  const ca = join(bench.folder, 'destination.pem')
  writeFileSync(script, addon(job))
  writeFileSync(ca, job.caPem)
  const settings = [`confdir=${confdir}`, `ssl_verify_upstream_trusted_ca=${ca}`, 'flow_detail=0']
  const child = bench.start('mitmdump', [
    ...['--quiet', '--listen-host', '127.0.0.1', '--listen-port', String(port), '--scripts', script],
    ...settings.flatMap((setting) => ['--set', setting]),
  ])
  await untilListening(port)
  const caPem = readFileSync(join(confdir, 'mitmproxy-ca-cert.pem'), 'utf8')
  return { port, pid: child.pid ?? 0, caPem }
}

/** Its certificate authority is made before it listens. */
async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isThere) return
    await sleep(50)
  }
  throw new Error('mitmproxy did not begin to listen')
}
