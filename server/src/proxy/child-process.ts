import { spawn } from 'node:child_process'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inBatches } from './batch.ts'

/** What a child says first, and what else it says. */
export type FromChild = { readonly kind: string }

export type ChildProcessHandle<To> = {
  readonly pid: number | undefined
  /** It has said so, and has not ended since. */
  isReady(): boolean
  /** Dropped when the child is gone: the loss is told by `onExit`. */
  send(message: To): void
  /** Closes the channel, which ends the child; kills it when it does not end. */
  end(): Promise<void>
  /** Ends the child at once, without its leave. */
  kill(): Promise<void>
}

type Needs<From> = {
  /** The file of this folder that does the work. */
  main: 'child' | 'front-child'
  runtimeDir: string
  onMessage(message: From): void
  onDiagnostic(line: string): void
  onExit(how: string): void
}

const patienceMs = 3_000
/** Where the machine keeps certificates of its own; paths, no secrets. Everything else of the environment stays here. */
const passedOn = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR']

const entry = fileURLToPath(new URL('./child.mjs', import.meta.url))
/** A source file when run from source, a compiled one when installed. */
const addressOf = (main: string): string =>
  new URL(`./${main}${extname(import.meta.url)}`, import.meta.url).href
const folder = fileURLToPath(new URL('./', import.meta.url))

const flagsFor = (runtimeDir: string): string[] => [
  '--permission', // no other processes, threads or native code, and of the disk only this:
  `--allow-fs-read=${folder}*`,
  `--allow-fs-read=${runtimeDir}/*`,
  `--allow-fs-write=${runtimeDir}/*`,
  '--use-system-ca',
  '--max-old-space-size=64',
  '--max-semi-space-size=4',
  '--disable-warning=SecurityWarning',
]

export function spawnChild<To, From extends FromChild>({
  main,
  runtimeDir,
  onMessage,
  onDiagnostic,
  onExit,
}: Needs<From>): ChildProcessHandle<To> {
  let ready = false
  const environment = passedOn.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const child = spawn(process.execPath, [...flagsFor(runtimeDir), entry, addressOf(main), runtimeDir], {
    cwd: '/',
    env: Object.fromEntries(environment),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      ready = false
      resolve()
      onExit(signal ?? `exit code ${code}`)
    })
    child.once('error', (error) => {
      ready = false
      resolve()
      onExit(error.message)
    })
  })
  child.on('message', (messages: readonly From[]) => {
    for (const message of messages) {
      if (message.kind === 'ready') ready = true
      onMessage(message)
    }
  })
  if (child.stderr)
    createInterface({ input: child.stderr }).on('line', (line) => onDiagnostic(line.slice(0, 500)))
  return {
    pid: child.pid,
    isReady: () => ready,
    send: inBatches<To>((messages) => {
      if (child.connected) child.send([...messages] as object[], () => {})
    }),
    async end() {
      if (child.connected) child.disconnect()
      const late = setTimeout(() => child.kill('SIGKILL'), patienceMs)
      await exited
      clearTimeout(late)
    },
    kill() {
      child.kill('SIGKILL')
      return exited
    },
  }
}
