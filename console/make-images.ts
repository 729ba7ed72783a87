import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { openBrowser, settle } from './test/support/browser.ts'

// Makes docs/images and docs/first-run.txt anew: `node console/make-images.ts`. A real server walks the first run on the example
// project, which is recorded, then a second run is left waiting for its approval, and each page is photographed by day and by
// night. The keys in them are made up and masked.

const command = fileURLToPath(new URL('../server/bin/keyward.mjs', import.meta.url))
const images = fileURLToPath(new URL('../docs/images/', import.meta.url))
const size = { width: 1280, height: 800 }

type Server = {
  origin: string
  /** Runs a command of Keyward against the server, as its owner. */
  keyward(...args: string[]): Promise<string>
  stop(): Promise<void>
}

type List<T> = { items: T[] }
type Shot = { name: string; path: string; height?: number }

const folder = await mkdtemp(join(tmpdir(), 'keyward-images-'))
try {
  await mkdir(images, { recursive: true })
  const dataDir = join(folder, 'data')
  const listen = await freeAddress()
  const recording = await run(folder, ['start', '--yes', '--data', dataDir, '--listen', listen])
  await writeFile(join(images, '..', 'first-run.txt'), asAtHome(recording, dataDir, listen))
  const server = await startServer(folder, dataDir)
  const browser = await openBrowser()
  try {
    await photograph(server, browser, dataDir)
  } finally {
    await browser.close()
    await server.stop()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function photograph(server: Server, browser: Browser, dataDir: string): Promise<void> {
  await server.keyward('login', '--local', '--data', dataDir)
  const {
    items: [finished],
  } = JSON.parse(await server.keyward('runs', 'list', '--json')) as List<{ id: string }>
  const runId = finished?.id ?? ''
  const shots: Shot[] = [
    { name: 'run', path: `/runs/${runId}`, height: 1240 },
    { name: 'audit', path: `/audit?correlation=${runId}` },
    { name: 'vault', path: `/vault?secret=${encodeURIComponent(await someSecret(server))}`, height: 940 },
  ]
  await take(server, browser, dataDir, shots)
  await server.keyward('findings', 'undo', runId)
  await server.keyward('scans', 'start', join(dataDir, 'example', 'leaky-shop'))
  await server.keyward('findings', 'import', '--all-open', '--yes')
  const approvalId = await firstPending(server)
  await take(server, browser, dataDir, [
    { name: 'findings', path: '/findings' },
    { name: 'approval', path: `/approvals/${approvalId}` },
  ])
}

/** The path of a secret that the first run has moved. */
async function someSecret(server: Server): Promise<string> {
  const read = async (path: string): Promise<List<{ path: string; folder: boolean }>> =>
    JSON.parse(await server.keyward('secrets', 'list', path, '--json'))
  for (let folder = 'secret/'; ; ) {
    const { items } = await read(folder)
    const secret = items.find((item) => !item.folder)
    if (secret) return secret.path
    folder = items[0]?.path ?? ''
    if (folder === '') throw new Error('the vault holds no secret')
  }
}

async function firstPending(server: Server): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const { items } = JSON.parse(await server.keyward('approvals', 'list', '--json')) as List<{
      id: string
      state: string
    }>
    const pending = items.find(({ state }) => state === 'pending')
    if (pending) return pending.id
    await wait(100)
  }
  throw new Error('no run came to wait for an approval')
}

async function take(
  server: Server,
  browser: Browser,
  dataDir: string,
  shots: readonly Shot[],
): Promise<void> {
  for (const theme of ['light', 'dark'] as const) {
    const context = await browser.newContext({
      viewport: size,
      colorScheme: theme,
      reducedMotion: 'reduce',
      locale: 'en-GB',
    })
    const page = await context.newPage()
    await page.goto((await server.keyward('login', '--link', '--data', dataDir)).trim())
    await settle(page)
    for (const { name, path, height } of shots) {
      await page.setViewportSize({ ...size, ...(height === undefined ? {} : { height }) })
      await page.goto(`${server.origin}${path}`)
      await settle(page)
      // The graph of a run fits itself to its frame after it was measured.
      await wait(500)
      await page.screenshot({ path: join(images, `${name}-${theme}.png`) })
    }
    await context.close()
  }
}

async function startServer(home: string, dataDir: string): Promise<Server> {
  const listen = await freeAddress()
  const origin = `http://${listen}`
  const child = spawn(
    process.execPath,
    [command, 'server', '--listen', listen, '--data', dataDir, '--log-level', 'error'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for (let tries = 0; ; tries++) {
    const answered = await fetch(`${origin}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) break
    if (tries > 200 || child.exitCode !== null) throw new Error('the server did not start')
    await wait(50)
  }
  return {
    origin,
    keyward: (...args) => run(home, [...args, '--address', origin]),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function run(home: string, args: string[]): Promise<string> {
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, 'config') }
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], { env })
  return stdout
}

/** The output as it is with the usual folder and port, without what is different each time. */
function asAtHome(recording: string, dataDir: string, listen: string): string {
  return recording
    .replaceAll(dataDir, '~/.local/share/keyward')
    .replaceAll(listen, '127.0.0.1:8200')
    .replace(/#code=\S+/, '#code=…')
    .replaceAll(/run_\w{26}/g, 'run_…')
}

/** A port that is free now. */
async function freeAddress(): Promise<string> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return `127.0.0.1:${address.port}`
}
