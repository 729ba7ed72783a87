/** The lines that one hunk of one commit added. */
export type Added = {
  readonly bytes: Buffer
  readonly file: string
  readonly line: number
  readonly commit: { readonly id: string; readonly author: string; readonly committedAt: Date }
}

export type PatchReader = {
  push(chunk: Buffer): Added[]
  end(): Added[]
  commits(): number
}

const longestHunkBytes = 4 * 1024 * 1024
const binaryProbeBytes = 8192
const newline = 10

type State = {
  commit: Added['commit'] | undefined
  file: string | undefined
  /** Columns of `+`, `-` and blanks before a line: the number of parents. */
  columns: number
  line: number
  lines: Buffer[]
  sizeBytes: number
}

/**
 * Reads the output of `git log --patch --unified=0 --cc` with a NUL before each commit's line. Inside a hunk every line
 * begins with one of `+-\` or a blank, so a line that begins otherwise is structure, whatever the files hold.
 */
export function createPatchReader(): PatchReader {
  const state: State = { commit: undefined, file: undefined, columns: 0, line: 0, lines: [], sizeBytes: 0 }
  let rest: Buffer = Buffer.alloc(0)
  /** The line being read is longer than a hunk may be: what follows of it is no line of its own. */
  let continued = false
  let commits = 0

  function take(line: Buffer, added: Added[]): void {
    if (line[0] === 0) {
      flush(state, added)
      commits++
      startCommit(state, line)
    } else if (state.columns > 0 && isContent(line[0])) {
      takeContent(state, line, added)
    } else {
      flush(state, added)
      takeStructure(state, line)
    }
  }

  function push(chunk: Buffer): Added[] {
    const added: Added[] = []
    const text = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    for (let end = text.indexOf(newline); end >= 0; end = text.indexOf(newline, at)) {
      if (!continued) take(text.subarray(at, end), added)
      continued = false
      at = end + 1
    }
    rest = text.subarray(at)
    if (rest.length > longestHunkBytes) {
      if (!continued) take(rest, added)
      continued = true
      rest = Buffer.alloc(0)
    }
    return added
  }

  return {
    push,
    end() {
      const added = rest.length > 0 ? push(Buffer.from('\n')) : []
      flush(state, added)
      return added
    },
    commits: () => commits,
  }
}

// `+`, `-`, blank, `\`
const isContent = (byte: number | undefined): boolean =>
  byte === 43 || byte === 45 || byte === 32 || byte === 92

function startCommit(state: State, line: Buffer): void {
  const [, id = '', seconds = '0', author = ''] = line.toString('utf8').split('\0')
  state.commit = { id, author, committedAt: new Date(Number(seconds) * 1000) }
  state.file = undefined
  state.columns = 0
}

function takeContent(state: State, line: Buffer, added: Added[]): void {
  const marks = line.subarray(0, state.columns)
  if (marks[0] === 92 || marks.includes(45)) return
  if (marks.every((byte) => byte === 43)) {
    state.lines.push(line.subarray(state.columns))
    state.sizeBytes += line.length
    if (state.sizeBytes < longestHunkBytes) return
  }
  // A line that a merge only kept, or a hunk that has grown long: the next line begins a new stretch.
  const kept = marks.includes(32) ? 1 : 0
  const next = state.line + state.lines.length + kept
  flush(state, added)
  state.line = next
}

function takeStructure(state: State, line: Buffer): void {
  const text = line.toString('latin1')
  if (text.startsWith('diff ')) {
    state.file = undefined
    state.columns = 0
  } else if (text.startsWith('+++ ')) {
    state.file = pathOf(text.slice(4))
  } else if (text.startsWith('@@')) {
    state.columns = Math.max(1, (/^@+/.exec(text)?.[0].length ?? 2) - 1)
    state.line = Number(/ \+(\d+)/.exec(text)?.[1] ?? 1)
  }
}

function flush(state: State, added: Added[]): void {
  const { commit, file, line, lines } = state
  if (commit && file !== undefined && lines.length > 0) {
    const bytes = Buffer.concat(lines.flatMap((text) => [text, lineEnd]))
    if (!bytes.subarray(0, binaryProbeBytes).includes(0)) added.push({ bytes, file, line, commit })
  }
  state.lines = []
  state.sizeBytes = 0
}

const lineEnd = Buffer.from('\n')

/** `b/path`, or `"b/pa\tth"` with C escapes; a tab ends a path that holds a blank. Takes and undoes Latin-1. */
function pathOf(line: string): string | undefined {
  const text = line.replace(/\t$/, '')
  if (text === '/dev/null') return
  const plain = text.startsWith('"') ? text.slice(1, -1).replace(/\\([0-7]{3}|.)/g, withoutEscape) : text
  return Buffer.from(plain, 'latin1').toString('utf8').replace(/^b\//, '')
}

function withoutEscape(_: string, code: string): string {
  return code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (escapes[code] ?? code)
}

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }
