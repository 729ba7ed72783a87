/** The lines that one hunk of one commit added. */
type Added = {
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
  /** The added lines of the hunk so far: how many, and their bytes, each ended by a line feed. */
  lines: number
  hunk: Buffer
  sizeBytes: number
}

/** A line within the bytes it was read with: a view for each of millions of lines would cost more than the scan. */
type Line = { text: Buffer; start: number; end: number }

/**
 * Reads the output of `git log --patch --unified=0 --cc` with a NUL before each commit's line. Inside a hunk every line
 * begins with one of `+-\` or a blank, so a line that begins otherwise is structure, whatever the files hold.
 */
export function createPatchReader(): PatchReader {
  const state: State = {
    commit: undefined,
    file: undefined,
    columns: 0,
    line: 0,
    lines: 0,
    hunk: Buffer.allocUnsafe(65_536),
    sizeBytes: 0,
  }
  let rest: Buffer = Buffer.alloc(0)
  /** The line being read is longer than a hunk may be: what follows of it is no line of its own. */
  let continued = false
  let commits = 0

  function take(line: Line, added: Added[]): void {
    const first = line.start < line.end ? line.text[line.start] : undefined
    if (first === 0) {
      flush(state, added)
      commits++
      startCommit(state, line.text.subarray(line.start, line.end))
    } else if (state.columns > 0 && isContent(first)) {
      takeContent(state, line, added)
    } else {
      flush(state, added)
      takeStructure(state, line.text.subarray(line.start, line.end))
    }
  }

  function push(chunk: Buffer): Added[] {
    const added: Added[] = []
    const text = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    for (let end = text.indexOf(newline); end >= 0; end = text.indexOf(newline, at)) {
      if (!continued) take({ text, start: at, end }, added)
      continued = false
      at = end + 1
    }
    rest = text.subarray(at)
    if (rest.length > longestHunkBytes) {
      if (!continued) take({ text: rest, start: 0, end: rest.length }, added)
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

function takeContent(state: State, line: Line, added: Added[]): void {
  const marks = marksOf(state, line)
  if (marks === 'gone') return
  if (marks === 'added') {
    append(state, line)
    if (state.sizeBytes < longestHunkBytes) return
  }
  // A line that a merge only kept, or a hunk that has grown long: the next line begins a new stretch.
  const next = state.line + state.lines + (marks === 'kept' ? 1 : 0)
  flush(state, added)
  state.line = next
}

/** What the columns before a line say: taken out of some parent, new to all of them, or known to one. */
function marksOf({ columns }: State, { text, start }: Line): 'gone' | 'added' | 'kept' {
  let marks: 'added' | 'kept' = 'added'
  for (let i = start; i < start + columns; i++) {
    if (text[i] === 45 || text[i] === 92) return 'gone'
    if (text[i] !== 43) marks = 'kept'
  }
  return marks
}

function append(state: State, { text, start, end }: Line): void {
  const from = start + state.columns
  const size = state.sizeBytes + (end - from) + 1
  if (size > state.hunk.length) {
    const larger = Buffer.allocUnsafe(size * 2)
    state.hunk.copy(larger, 0, 0, state.sizeBytes)
    state.hunk = larger
  }
  text.copy(state.hunk, state.sizeBytes, from, end)
  state.hunk[size - 1] = newline
  state.sizeBytes = size
  state.lines++
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
  const { commit, file, line, hunk, sizeBytes } = state
  if (commit && file !== undefined && sizeBytes > 0) {
    const bytes = Buffer.from(hunk.subarray(0, sizeBytes))
    if (!bytes.subarray(0, binaryProbeBytes).includes(0)) added.push({ bytes, file, line, commit })
  }
  state.lines = 0
  state.sizeBytes = 0
}

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
