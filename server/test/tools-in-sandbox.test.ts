// Programs that people use, inside a real sandbox, through the real proxy: none of them is told anything but the address.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { join, normalize } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../src/core/index.ts'
import { createBubblewrapDriver, findProgram } from '../src/sandbox/index.ts'
import { apiHost, openProxy, openUpstream } from './support/egress.ts'
import { goProgramOrSkip } from './support/go.ts'
import { mayBeMissing } from './support/needed.ts'
import { temporaryFolder, testId, testLimits } from './support/sandbox/attacker.ts'
import { zipOf } from './support/zip-of.ts'

const origin = `https://${apiHost}`

/** A git repository, a package for npm and one for pip, as files at the addresses where their tools look for them. */
async function layOut(folder: string): Promise<void> {
  const put = async (path: string, content: string | Buffer): Promise<void> => {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  const work = join(folder, 'work')
  const author = ['-c', 'user.name=T', '-c', 'user.email=t@example.test', '-c', 'commit.gpgsign=false']
  await put('work/told.txt', 'told by git')
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', work, ...author, ...words], { stdio: 'pipe' })
  git('init', '--quiet', '--initial-branch=main')
  git('add', '.')
  git('commit', '--quiet', '--message=first')
  git('clone', '--quiet', '--bare', work, join(folder, 'git', 'repo.git'))
  execFileSync('git', ['-C', join(folder, 'git', 'repo.git'), 'update-server-info'])
  await put('package/package.json', JSON.stringify({ name: 'told', version: '1.0.0' }))
  await put('package/index.js', "console.log('told by npm')")
  const tarball = execFileSync('tar', ['-czf', '-', '-C', folder, 'package'])
  await put('npm/told/-/told-1.0.0.tgz', tarball)
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const dist = { tarball: `${origin}/npm/told/-/told-1.0.0.tgz`, integrity }
  const version = { name: 'told', version: '1.0.0', dist }
  const versions = { '1.0.0': version }
  await put('npm/told/index', JSON.stringify({ name: 'told', 'dist-tags': { latest: '1.0.0' }, versions }))
  const wheel = zipOf({
    'told.py': "print('told by pip')",
    'told-1.0.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: told\nVersion: 1.0.0\n',
    'told-1.0.0.dist-info/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    'told-1.0.0.dist-info/RECORD': '',
  })
  await put('pip/files/told-1.0.0-py3-none-any.whl', wheel)
  await put('pip/simple/told/index', '<a href="../../files/told-1.0.0-py3-none-any.whl">told</a>')
}

/** Serves the files, to those who bring the value, and text at every other address. */
function serving(folder: string, isAllowed: (authorization: string) => boolean): RequestListener {
  return (request, response) => {
    const path = normalize(decodeURIComponent((request.url ?? '/').split('?')[0] ?? '/'))
    if (!isAllowed(request.headers.authorization ?? '')) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="told"' }).end('no value')
      return
    }
    const file = [join(folder, path), join(folder, path, 'index')].find((one) =>
      statSync(one, { throwIfNoEntry: false })?.isFile(),
    )
    if (path.startsWith('/text/')) response.end(`told by ${path.slice('/text/'.length)}`)
    else if (file) {
      if (path.includes('/simple/')) response.setHeader('content-type', 'text/html')
      response.end(readFileSync(file))
    } else response.writeHead(404).end()
  }
}

type Tool = { program: string; script: string; told: string }

const python = (code: string): string => `/usr/bin/python3 -c '${code}'`
const npmLink = findProgram('npm')
/** Where npm lies is not the same everywhere: what is not the system's is shown to the sandbox. */
const npm = npmLink && realpathSync(npmLink)
const npmFolder = npm && join(npm, '..', '..')
const shown = npmFolder === undefined || npmFolder.startsWith('/usr/') ? [] : [npmFolder]

const tools: Record<string, Tool> = {
  curl: {
    program: 'curl',
    script: `curl -fsS -H "Authorization: Bearer $KEY" ${origin}/text/curl`,
    told: 'told by curl',
  },
  'git over HTTPS': {
    program: 'git',
    script: `git -c http.extraHeader="Authorization: Bearer $KEY" clone -q ${origin}/git/repo.git r && cat r/told.txt`,
    told: 'told by git',
  },
  npm: {
    program: 'npm',
    script: `echo '//${apiHost}/npm/:_authToken=\${KEY}' > .npmrc && node ${npm} install --silent --registry=${origin}/npm/ told && node node_modules/told`,
    told: 'told by npm',
  },
  pip: {
    program: 'pip',
    script: `/usr/bin/python3 -m pip install -q --no-deps --disable-pip-version-check --target t --index-url https://x:$KEY@${apiHost}/pip/simple told && cd t && /usr/bin/python3 -c 'import told'`,
    told: 'told by pip',
  },
  'urllib of Python': {
    program: 'python3',
    script: python(
      `import os, urllib.request as u; print(u.urlopen(u.Request("${origin}/text/urllib", headers={"Authorization": "Bearer " + os.environ["KEY"]})).read().decode())`,
    ),
    told: 'told by urllib',
  },
  'requests of Python': {
    program: 'pip',
    // The copy that pip brings along.
    script: python(
      `import os; from pip._vendor import requests as r; print(r.get("${origin}/text/requests", headers={"Authorization": "Bearer " + os.environ["KEY"]}).text)`,
    ),
    told: 'told by requests',
  },
  'fetch of Node': {
    program: 'sh',
    script: `node -e 'fetch("${origin}/text/fetch", { headers: { authorization: "Bearer " + process.env.KEY } }).then((a) => a.text()).then(console.log).then(() => process.exit())'`,
    told: 'told by fetch',
  },
  'https of Node': {
    program: 'sh',
    script: `node -e 'require("https").get("${origin}/text/https", { headers: { authorization: "Bearer " + process.env.KEY } }, (a) => a.pipe(process.stdout).on("unpipe", () => setImmediate(process.exit)))'`,
    told: 'told by https',
  },
}

test('SAND-1, LEND-2: tools inside work through the proxy without special care', async (t) => {
  const stateDir = await temporaryFolder(t)
  const nodePath = process.execPath
  const driver = createBubblewrapDriver({
    clock: systemClock,
    random: Math.random,
    stateDir,
    nodePath,
    pool: 1,
  })
  const state = await driver.prepare()
  if (!state.ready) return t.skip(`this machine gives no namespaces: ${state.reasons.join(' ')}`)
  const folder = await temporaryFolder(t)
  await layOut(folder)
  const { channel, lend } = await openProxy(t)
  const { placeholder, value } = lend()
  const basic = `Basic ${Buffer.from(`x:${value}`).toString('base64')}`
  const upstream = await openUpstream(
    t,
    serving(folder, (authorization) => authorization === `Bearer ${value}` || authorization === basic),
  )

  async function works(
    { script, told }: Pick<Tool, 'script' | 'told'>,
    readOnly: string[] = [],
  ): Promise<void> {
    const egress = await channel({ host: apiHost, port: 443, ...upstream })
    const limits = { ...testLimits, memoryBytes: 1024 ** 3 }
    const command = ['/bin/sh', '-c', script] as const
    const env = { KEY: placeholder }
    const result = await driver.run({ id: testId(), command, env, limits, egress, readOnly }, {})
    assert.equal(result.exitCode, 0, result.stderrTail + result.stdoutTail)
    assert.ok(result.stdoutTail.includes(told), result.stdoutTail)
  }

  for (const [name, tool] of Object.entries(tools))
    await t.test(`SAND-1: ${name}`, async (t: TestContext) => {
      const present = name === 'npm' ? npm : findProgram(tool.program, '/usr/bin')
      if (present) await works(tool, name === 'npm' ? shown : [])
      else t.skip(mayBeMissing(`${tool.program} is not installed for all users`))
    })

  await t.test('SAND-1: a program in Go', async (t) => {
    const program = await goProgramOrSkip(t, 'go-fetch')
    if (program === undefined) return
    await chmod(program, 0o755)
    const script = `${program} ${origin}/text/go "Bearer $KEY"`
    await works({ script, told: '200 told by go' }, [program])
  })

  const short = process.availableMemory() < 2 * 1024 ** 3 && 'this machine is short of memory'
  await t.test('SAND-1: … and in a sandbox that waited for them', { skip: short }, async () => {
    const records = join(stateDir, 'running')
    const processIn = (file: string) => JSON.parse(readFileSync(join(records, file), 'utf8')).process
    const egress = await channel({ host: apiHost, port: 443, ...upstream })
    const id = testId()
    const command = ['/bin/sh', '-c', tools['https of Node']?.script ?? ''] as const
    const spec = { id, command, env: { KEY: placeholder }, limits: testLimits, egress }
    await driver.ahead?.add(spec)
    const [waiting = ''] = readdirSync(records)
    const before = processIn(waiting)
    let during: unknown
    const onOutput = () => {
      during ??= processIn(`${id}.json`)
    }
    const result = await driver.run(spec, { onOutput })
    assert.equal(result.stdoutTail, 'told by https')
    assert.ok(before)
    assert.deepEqual(during, before, 'it is the one that waited')
    assert.deepEqual(readdirSync(records), [])
  })
})
