import { spawn } from 'node:child_process'

/**
 * Settings of the scanned repository can name programs to run, and it may not be ours: everything that could start one
 * is switched off, by the command line, which stands above the repository's own configuration.
 */
export const harmless: readonly string[] = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'core.pager=cat',
  'core.quotePath=false',
  'core.sshCommand=false',
  'core.alternateRefsCommand=true',
  'protocol.allow=never',
  'gpg.program=false',
  'gpg.ssh.program=false',
  'log.showSignature=false',
  'log.showRoot=true',
  'core.bigFileThreshold=512m',
  'diff.external=',
  'diff.orderFile=/dev/null',
  'diff.interHunkContext=0',
  'safe.directory=*',
]
  .flatMap((setting) => ['-c', setting])
  .concat('--no-pager')

/** Nothing of our own environment reaches git but where to find it. */
export const gitEnvironment = (searchPath: string): NodeJS.ProcessEnv => ({
  PATH: searchPath,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_PAGER: 'cat',
})

export type GitEnd = {
  /** Git is not installed. */
  readonly missing: boolean
  readonly status: number | null
  /** What it wrote on standard error. */
  readonly words: string
  readonly output: Buffer
}

type Run = {
  readonly searchPath: string
  readonly path: string
  readonly input?: Buffer | string
  /** More of the environment: the index of a commit that is being made. */
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** One command of git whose output fits into memory. Never rejects. */
export function runGit(
  args: readonly string[],
  { searchPath, path, input, env, signal }: Run,
): Promise<GitEnd> {
  const child = spawn('git', [...harmless, '-C', path, ...args], {
    env: { ...gitEnvironment(searchPath), ...env },
    stdio: 'pipe',
    ...(signal && { signal }),
  })
  const output: Buffer[] = []
  let words = ''
  child.stdout.on('data', (chunk: Buffer) => void output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    if (words.length < 4096) words += chunk.toString()
  })
  // It may end before it has read everything; its status tells.
  child.stdin.on('error', () => {})
  child.stdin.end(input ?? '')
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve({
        missing: error.code === 'ENOENT',
        status: null,
        words: error.message,
        output: Buffer.alloc(0),
      })
    })
    child.once('close', (status) => {
      resolve({ missing: false, status, words, output: Buffer.concat(output) })
    })
  })
}

/** What `cat-file --batch` prints: `<blob> blob <size> LF <contents> LF`, or `<blob> missing LF`. */
export function contentsOfBatch(batch: Buffer): Map<string, Buffer> {
  const contents = new Map<string, Buffer>()
  for (let at = 0; at < batch.length; ) {
    const end = batch.indexOf(10, at)
    const [blob = '', , size] = batch.toString('latin1', at, end).split(' ')
    at = end + 1
    if (size === undefined) continue
    contents.set(blob, batch.subarray(at, at + Number(size)))
    at += Number(size) + 1
  }
  return contents
}

const binaryProbeBytes = 8192

/** UTF-16 holds zero bytes too, and begins with its mark. */
export function isBinary(bytes: Buffer): boolean {
  const marked = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  return !marked && bytes.subarray(0, binaryProbeBytes).includes(0)
}
