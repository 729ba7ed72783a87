import { spawn } from 'node:child_process'
import { findProgram } from './install.ts'

export type EngineName = 'podman' | 'docker'

export type Answer = { code: number | null; stdout: string; stderr: string }

/** A container engine, spoken to by the program that its users know: it knows where its engine is. No shell is involved. */
export type EngineClient = {
  readonly name: EngineName
  /** The program and the words that every call begins with. */
  readonly words: readonly [string, ...string[]]
  /** What the program needs of the server's environment, and nothing else of it. */
  readonly env: Record<string, string>
  /** Runs one command of the engine to its end; an answer that is not 0 is the caller's to judge. */
  ask(words: readonly string[], input?: Buffer): Promise<Answer>
}

const passed = [
  'HOME',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_CONFIG',
  'DOCKER_TLS_VERIFY',
  'DOCKER_CERT_PATH',
  'CONTAINERS_CONF',
  'CONTAINERS_STORAGE_CONF',
]

export type Runtime = {
  /** Its name or path. */
  name: string
  /** Flags of the runtime itself; only Podman hands them on. Docker has them in its configuration. */
  flags: readonly string[]
}

/** Undefined when the engine's program is not on this machine. */
export function createEngineClient(
  name: EngineName,
  surroundings: Readonly<Record<string, string | undefined>>,
  runtime: Runtime | undefined,
): EngineClient | undefined {
  const program = findProgram(name, surroundings['PATH'])
  if (!program) return undefined
  const env: Record<string, string> = { PATH: surroundings['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' }
  for (const key of passed) {
    const value = surroundings[key]
    if (value !== undefined) env[key] = value
  }
  const ofRuntime = runtime && name === 'podman' ? runtimeWords(runtime) : []
  const words = [program, ...ofRuntime] as const
  return { name, words, env, ask: (rest, input) => ask([...words, ...rest], env, input) }
}

const runtimeWords = ({ name, flags }: Runtime): string[] => [
  ...['--runtime', name],
  ...flags.flatMap((flag) => ['--runtime-flag', flag]),
]

function ask(
  [program = '', ...words]: readonly string[],
  env: Record<string, string>,
  input: Buffer | undefined,
): Promise<Answer> {
  const child = spawn(program, words, { cwd: '/', env, stdio: ['pipe', 'pipe', 'pipe'] })
  const answer = { stdout: '', stderr: '' }
  child.stdout.on('data', (part: Buffer) => {
    answer.stdout += part.toString('utf8')
  })
  child.stderr.on('data', (part: Buffer) => {
    answer.stderr += part.toString('utf8')
  })
  // A program that goes away early says why by its exit.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...answer }))
  })
}

/** What a program said last, on one line. */
export const lastWords = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 400) ?? ''
