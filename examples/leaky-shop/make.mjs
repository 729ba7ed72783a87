// Makes the leaky shop: node make.mjs FOLDER [SEED]. Plain JavaScript, so that it runs on any Node from 20 on.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

const template = fileURLToPath(new URL('./project', import.meta.url))
const lower = 'abcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'
const alphanumeric = digits + lower.toUpperCase() + lower
const commitEnvironment = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Mirela Popa',
  GIT_AUTHOR_EMAIL: 'mirela@copperkettle.example',
  GIT_COMMITTER_NAME: 'Mirela Popa',
  GIT_COMMITTER_EMAIL: 'mirela@copperkettle.example',
}

/**
 * Copies the project into `folder` (which must be empty or absent), with keys made up from `seed`, and commits it.
 * Tells what was planted where, and whether there is a git history: without git there is none.
 */
export function makeLeakyShop(folder, { seed = 'leaky-shop' } = {}) {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`)
  const values = valuesFrom(seed)
  const planted = []
  mkdirSync(folder, { recursive: true })
  for (const source of filesBelow(template)) {
    const file = relative(template, source).replaceAll('\\', '/').replace(/(^|\/)dot-/g, '$1.')
    const filled = fill(readFileSync(source, 'utf8'), values)
    write(join(folder, file), filled.text)
    planted.push(...filled.marks.map((mark) => ({ ...mark, file })))
  }
  const history = commitAll(folder, values)
  if (history) planted.push({ name: 'hosting', file: 'scripts/release.sh', line: 4, value: values.hosting, commit: true })
  return { folder, history, planted: planted.filter(({ name }) => name !== 'publishable') }
}

function filesBelow(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

function fill(text, values) {
  const marks = []
  const lines = text.split('\n').map((line, index) =>
    line.replace(/@@([a-z]+)@@/g, (_, name) => {
      marks.push({ name, line: index + 1, value: values[name] })
      return values[name]
    }),
  )
  return { text: lines.join('\n'), marks }
}

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  if (file.endsWith('.sh')) chmodSync(file, 0o755)
}

/** Three commits; the second writes a token into the release script, the third takes it out again. */
function commitAll(folder, values) {
  const release = join(folder, 'scripts/release.sh')
  const clean = readFileSync(release, 'utf8')
  try {
    git(folder, 0, 'init', '--quiet', '--initial-branch=main')
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
  commit(folder, '2026-03-02T09:12:00Z', 'Open the shop')
  writeFileSync(release, clean.replace('version=$1\n', `GITHUB_TOKEN=${values.hosting}\nversion=$1\n`))
  commit(folder, '2026-03-09T16:40:00Z', 'Release script works from my machine')
  writeFileSync(release, clean)
  commit(folder, '2026-03-10T08:05:00Z', 'Remove token from release script')
  return true
}

function commit(folder, date, message) {
  git(folder, date, 'add', '--all')
  git(folder, date, '-c', 'commit.gpgSign=false', '-c', 'core.hooksPath=/dev/null', 'commit', '--quiet', '--message', message)
}

function git(folder, date, ...args) {
  const dates = date ? { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date } : {}
  execFileSync('git', ['-C', folder, ...args], { env: { ...commitEnvironment, ...dates }, stdio: ['ignore', 'ignore', 'pipe'] })
}

function valuesFrom(seed) {
  const draw = drawFrom(seed)
  const hex = (length) => draw(digits + 'abcdef', length)
  return {
    payments: `sk_live_${draw(alphanumeric, 24)}`,
    publishable: `pk_live_${draw(alphanumeric, 24)}`,
    database: draw(alphanumeric, 20),
    session: hex(64),
    mail: `SG.${draw(alphanumeric, 22)}.${draw(alphanumeric, 43)}`,
    smtp: `${draw(alphanumeric, 9)}!${draw(alphanumeric, 6)}`,
    redis: draw(alphanumeric, 24),
    postgres: draw(alphanumeric, 22),
    model: `sk-proj-${draw(alphanumeric, 58)}T3BlbkFJ${draw(alphanumeric, 58)}`,
    awsid: `AKIA${draw('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}`,
    awssecret: draw(`${alphanumeric}/+`, 40),
    registry: withChecksum('npm_', draw(alphanumeric, 30)),
    hosting: withChecksum('ghp_', draw(alphanumeric, 30)),
  }
}

/** Characters drawn evenly from an alphabet by a hash of the seed and a counter. */
function drawFrom(seed) {
  let counter = 0
  let bytes = []
  const nextByte = () => {
    if (bytes.length === 0) bytes = [...createHash('sha256').update(`${seed}:${counter++}`).digest()]
    return bytes.shift()
  }
  return (alphabet, length) => {
    let text = ''
    while (text.length < length) {
      const byte = nextByte()
      if (byte < 256 - (256 % alphabet.length)) text += alphabet[byte % alphabet.length]
    }
    return text
  }
}

/** GitHub and npm end a token with the CRC-32 of its body, in base 62. */
function withChecksum(prefix, body) {
  let rest = crc32(Buffer.from(body))
  let sum = ''
  while (sum.length < 6) {
    sum = alphanumeric[rest % 62] + sum
    rest = Math.floor(rest / 62)
  }
  return prefix + body + sum
}

function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  const [, , folder, seed] = argv
  if (!folder) {
    console.error('usage: node make.mjs FOLDER [SEED]')
    process.exit(2)
  }
  const { planted, history } = makeLeakyShop(folder, seed ? { seed } : {})
  const places = planted.map(({ name, file, line, commit }) => `  ${file}:${line} ${name}${commit ? ' (in the history)' : ''}`)
  console.log(`${folder} holds made-up secrets at\n${places.join('\n')}${history ? '' : '\ngit is not installed: no history was made'}`)
}
