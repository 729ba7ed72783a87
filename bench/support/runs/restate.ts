// Restate: its server with a folder of its own, and its endpoint for Node.
//   node restate.ts <folder of the peers> <rounds>
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { print } from '../figures.ts'
import { ended, freePort } from '../servers.ts'
import { approver, peer } from './peers.ts'
import { carried, type StepId } from './steps.ts'
import { type Carrier, type Effect, measure } from './workload.ts'

const [folder = '', rounds = '3'] = process.argv.slice(2)

async function startServer() {
  const place = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()]
  const program = join(
    folder,
    `node_modules/@restatedev/restate-server-linux-${process.arch}/bin/restate-server`,
  )
  const server = spawn(program, ['--no-logo'], {
    cwd: place,
    stdio: 'ignore',
    env: {
      ...process.env,
      RESTATE_BASE_DIR: join(place, 'data'),
      RESTATE_LISTEN_MODE: 'tcp',
      RESTATE_BIND_PORT: String(node),
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: '1',
    },
  })
  return {
    ingress: `http://127.0.0.1:${ingress}`,
    admin: `http://127.0.0.1:${admin}`,
    async stop() {
      await ended(server)
      rmSync(place, { recursive: true, force: true })
    },
  }
}

async function untilOk(ask: () => Promise<Response>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if ((await ask().catch(() => undefined))?.ok) return
    await sleep(100)
  }
  throw new Error('the server of Restate did not become ready')
}

type Context = {
  key: string
  run(name: string, work: () => unknown): Promise<unknown>
  promise(name: string): PromiseLike<unknown> & { resolve(value: unknown): Promise<void> }
}

async function open(effect: Effect): Promise<Carrier> {
  const restate = await peer(folder, '@restatedev/restate-sdk/dist/index.js')
  const server = await startServer()
  const ask = approver(async (run) => {
    const answer = await fetch(`${server.ingress}/bench/${run}/approve`, { method: 'POST' })
    if (!answer.ok) throw new Error(`an approval was refused: ${answer.status}`)
  })
  const bench = restate.workflow({
    name: 'bench',
    handlers: {
      run: (context: Context) =>
        carried({
          task: (id: StepId) => context.run(id, () => effect(context.key, id)),
          async approval() {
            ask(context.key)
            if ((await context.promise('approval')) !== 'yes') throw new Error('not approved')
          },
          all: (tasks) => restate.RestatePromise.all(tasks),
        }),
      approve: (context: Context) => context.promise('approval').resolve('yes'),
    },
  })
  const port = await freePort()
  await restate.serve({ services: [bench], port, logger: () => undefined })
  await untilOk(() => fetch(`${server.admin}/health`))
  const uri = `http://127.0.0.1:${port}`
  await untilOk(() =>
    fetch(`${server.admin}/deployments`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ uri }),
    }),
  )
  return {
    async carry(run) {
      const answer = await fetch(`${server.ingress}/bench/${run}/run`, { method: 'POST' })
      if (!answer.ok) throw new Error(`run ${run} ended with ${answer.status}: ${await answer.text()}`)
      await answer.arrayBuffer()
    },
    stop: server.stop,
  }
}

print(await measure(open, Number(rounds)))
process.exit()
