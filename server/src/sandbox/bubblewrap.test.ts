// The attacks of SAND-2 on a real sandbox of this machine. As root the whole file runs a second time as an ordinary user.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import dgram from 'node:dgram'
import { accessSync, constants, existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { attacker, temporaryFolder, testId, testLimits } from '../../test/support/sandbox-contract.ts'
import { systemClock } from '../core/index.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import { findProgram } from './install.ts'
import type { SandboxDriver } from './sandbox.ts'

const isRoot = process.getuid?.() === 0
/** Set in the runs that this file starts of itself. */
const isAgain = process.env['KEYWARD_TEST_AGAIN'] ? 'this is such a run' : false
const hidden: (() => unknown)[] = []
const stateDir = await temporaryFolder({ after: (clean) => void hidden.push(clean as () => unknown) })
const nodePath = process.execPath
const driver: SandboxDriver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: join(stateDir, 'sandbox'),
  nodePath,
})
const state = await driver.prepare()
const { run, shell, node, call } = attacker(driver)
after(async () => {
  for (const clean of hidden) await clean()
})

const skip = state.ready ? false : `this machine gives no namespaces: ${state.reasons.join(' ')}`
const bounded = state.ready && state.controllers.includes('memory') && state.controllers.includes('pids')

async function listening(
  server: net.Server,
  where: net.ListenOptions,
): Promise<net.AddressInfo | string | null> {
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(where, resolve)
  })
  return server.address()
}

const portOf = (address: unknown): number =>
  typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0

describe('a command in the sandbox', { skip }, () => {
  test('SAND-1: it runs, and its output and exit code come back', async () => {
    const seen: string[] = []
    const result = await driver.run(
      {
        id: testId(),
        command: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 7'],
        env: {},
        limits: testLimits,
      },
      { onOutput: (stream, chunk) => void seen.push(`${stream}:${chunk}`) },
    )
    assert.equal(result.exitCode, 7)
    assert.equal(result.signal, null)
    assert.equal(result.limit, null)
    assert.equal(result.stdoutTail, 'out\n')
    assert.equal(result.stderrTail, 'err\n')
    assert.deepEqual(seen.sort(), ['stderr:err\n', 'stdout:out\n'])
  })

  test('SAND-1: a command that does not exist ends as in any shell', async () => {
    assert.equal((await run(['/no/such/command'])).exitCode, 127)
  })

  test('SAND-1: a signal that ended it is named', async () => {
    const result = await shell('kill -SEGV $$')
    assert.deepEqual([result.exitCode, result.signal], [null, 'SIGSEGV'])
  })

  test('SAND-2: it sees the environment it was given and nothing of the server’s', async () => {
    process.env['KEYWARD_TEST_CANARY'] = 'canary-value'
    const script = 'env; for f in /proc/[0-9]*/environ; do tr "\\0" "\\n" < $f; done 2>/dev/null'
    const result = await shell(script, { env: { GIVEN: 'yes' } })
    delete process.env['KEYWARD_TEST_CANARY']
    assert.match(result.stdoutTail, /^GIVEN=yes$/m)
    assert.doesNotMatch(result.stdoutTail, /canary/i)
  })

  test('SAND-2: no descriptor but the three standard ones reaches it, and input is empty', async () => {
    const result = await shell('cd /proc/self/fd && echo *; cat | wc -c')
    assert.match(result.stdoutTail, /^0 1 2( \d)?\n0\n$/)
    const opened = await node("console.log(require('fs').readlinkSync('/proc/self/fd/0'))")
    assert.equal(opened.stdoutTail, '/dev/null\n')
  })

  test('SAND-2: command lines inside show no folder of the host', async () => {
    const result = await shell('for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f; done 2>/dev/null')
    assert.ok(result.stdoutTail.includes('bwrap --args 3'))
    assert.ok(!result.stdoutTail.includes(stateDir))
    assert.ok(!result.stdoutTail.includes(nodePath))
  })

  test('SAND-1: its streams can be opened again by their names', async () => {
    const result = await shell('echo again > /dev/stdout; echo too > /dev/stderr')
    assert.deepEqual([result.stdoutTail, result.stderrTail], ['again\n', 'too\n'])
  })

  test('SAND-1: output written just before the end is not lost', async () => {
    const result = await shell('head -c 400000 /dev/zero | tr "\\0" x; echo; echo end')
    assert.match(result.stdoutTail, /x\nend\n$/)
  })

  test('SAND-1: a cancelled run ends at once and says so', async () => {
    const cancel = new AbortController()
    const spec = {
      id: testId(),
      command: ['sh', '-c', 'echo on; sleep 600'] as const,
      env: {},
      limits: testLimits,
    }
    const result = await driver.run(spec, { signal: cancel.signal, onOutput: () => cancel.abort() })
    assert.equal(result.cancelled, true)
    assert.equal(result.limit, null)
  })
})

describe('the workspace', { skip }, () => {
  test('SAND-1: a folder is copied in and what the command made comes out; the original stays', async (t) => {
    const folder = await temporaryFolder(t)
    const workspace = join(folder, 'in')
    await mkdir(join(workspace, 'deep/er'), { recursive: true })
    await writeFile(join(workspace, 'deep/er/text'), 'before')
    await writeFile(join(workspace, 'tool.sh'), '#!/bin/sh\necho made > made\n')
    await chmod(join(workspace, 'tool.sh'), 0o755)
    const workspaceOut = join(folder, 'out')
    const script = './tool.sh; echo after > deep/er/text; head -c 3000000 /dev/zero > large; mkdir empty'
    const result = await shell(script, { workspace, workspaceOut })
    assert.equal(result.exitCode, 0, result.stderrTail)
    assert.equal(await readFile(join(workspaceOut, 'made'), 'utf8'), 'made\n')
    assert.equal(await readFile(join(workspaceOut, 'deep/er/text'), 'utf8'), 'after\n')
    assert.equal((await readFile(join(workspaceOut, 'large'))).length, 3_000_000)
    assert.ok(existsSync(join(workspaceOut, 'empty')))
    accessSync(join(workspaceOut, 'tool.sh'), constants.X_OK)
    assert.equal(await readFile(join(workspace, 'deep/er/text'), 'utf8'), 'before')
    assert.ok(!existsSync(join(workspace, 'made')))
  })

  test('SAND-2: a link planted inside brings no host file out', async (t) => {
    const folder = await temporaryFolder(t)
    const workspaceOut = join(folder, 'out')
    const script =
      'ln -s /etc/passwd passwd; ln -s / root; mkfifo pipe; mkdir a; ln -s ../.. a/up; echo x > kept'
    const result = await shell(script, { workspaceOut })
    assert.deepEqual((await readdir(workspaceOut, { recursive: true })).sort(), ['a', 'kept'])
    assert.deepEqual([...result.leftBehind].sort(), ['a/up', 'passwd', 'pipe', 'root'])
  })

  test('SAND-2: a link in the given folder leads to the sandbox’s own files', async (t) => {
    const folder = await temporaryFolder(t)
    const workspace = join(folder, 'in')
    await mkdir(workspace)
    await writeFile(join(folder, 'outside'), 'outside-canary')
    await symlink('/etc/passwd', join(workspace, 'passwd'))
    await symlink('../outside', join(workspace, 'outside'))
    const result = await shell('cat passwd; cat outside', { workspace })
    assert.match(result.stdoutTail, /^agent:/m)
    assert.doesNotMatch(result.stdoutTail, /outside-canary|nobody/)
  })

  test('SAND-2: a workspace larger than the disk limit is refused before the command runs', async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'large'), Buffer.alloc(2_000_000))
    const attempt = shell('echo ran', { workspace: folder, limits: { diskBytes: 1_000_000 } })
    await assert.rejects(attempt, { code: 'sandbox.failed' })
  })

  test('SAND-2: a result folder that holds something is never written into', async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'mine'), 'mine')
    await assert.rejects(shell('echo x > mine', { workspaceOut: folder }), { code: 'sandbox.failed' })
    assert.equal(await readFile(join(folder, 'mine'), 'utf8'), 'mine')
  })

  test('SAND-2: a command that kills its guest loses its result, and nothing else happens', async (t) => {
    const folder = await temporaryFolder(t)
    const result = await shell('echo x > x; kill -9 $PPID; sleep 60', { workspaceOut: join(folder, 'out') })
    assert.equal(result.exitCode, null)
    assert.equal(result.signal, 'SIGKILL')
    assert.deepEqual(await readdir(join(folder, 'out')), [])
  })
})

describe('the host', { skip }, () => {
  test('SAND-2: its secrets, homes and data folder are not there', async () => {
    const canary = join(stateDir, 'canary')
    await writeFile(canary, 'host-canary', { mode: 0o644 })
    const result = await shell(
      `cat /etc/shadow ${canary} /proc/1/root${canary}; ls /root ${stateDir} /home; ls -A /tmp /run`,
    )
    assert.doesNotMatch(result.stdoutTail, /host-canary|root:/)
    assert.equal(result.stdoutTail.replace(/\/(home|tmp|run):\n|\n/g, ''), 'agent')
  })

  test('SAND-2: its processes cannot be seen', async () => {
    const result = await shell('cd /proc && echo [0-9]* | wc -w')
    assert.ok(Number(result.stdoutTail) < 8, result.stdoutTail)
  })

  test('SAND-2: nothing outside the writable folders can be changed', async () => {
    const places = ['/usr', '/usr/bin', '/etc', '/', '/dev', '/opt/keyward', '/proc/sys/kernel']
    const script = places.map((place) => `touch ${place}/canary 2>/dev/null && echo ${place}`).join('; ')
    const result = await shell(
      `${script}; echo 1 > /proc/sys/vm/drop_caches; echo c > /proc/sysrq-trigger; echo end`,
    )
    assert.equal(result.stdoutTail, 'end\n')
    const fine = await shell(
      'for d in /workspace /tmp /var/tmp /run /dev/shm $HOME; do touch $d/x || exit 1; done',
    )
    assert.equal(fine.exitCode, 0, fine.stderrTail)
  })

  test('SAND-2: setuid programs give nothing', async () => {
    const result = await shell('su -c id root; passwd -d root; cat /proc/self/status')
    assert.match(result.stdoutTail, /^NoNewPrivs:\t1$/m)
    assert.match(result.stdoutTail, /^Seccomp:\t2$/m)
    for (const set of ['Prm', 'Eff', 'Bnd', 'Amb', 'Inh']) {
      assert.match(result.stdoutTail, new RegExp(`^Cap${set}:\\t0+$`, 'm'))
    }
    assert.doesNotMatch(result.stdoutTail, /uid=0/)
  })

  test('SAND-1: as root, each sandbox has a user id of its own', {
    skip: isRoot ? false : 'not root',
  }, async () => {
    const ids = await Promise.all([1, 2].map(async () => Number((await shell('id -u')).stdoutTail)))
    if (!state.ready || state.mode !== 'root') return
    for (const id of ids) assert.ok(id >= 1_900_000_000)
    assert.notEqual(ids[0], ids[1])
  })

  test('SAND-1: a path that was given is there, read-only', async (t) => {
    const folder = await temporaryFolder(t)
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'tool'), 'tool', { mode: 0o644 })
    const result = await shell(`cat ${folder}/tool; echo x > ${folder}/tool || echo refused`, {
      readOnly: [folder],
    })
    assert.equal(result.stdoutTail, 'toolrefused\n')
    assert.equal(await readFile(join(folder, 'tool'), 'utf8'), 'tool')
  })
})

describe('the network', { skip }, () => {
  const servers: { close(): unknown }[] = []
  let tcpPort = 0
  let udpPort = 0
  let touched = 0
  const abstractName = `\0keyward-test-${process.pid}`
  const socketPath = join(stateDir, 'plain.sock')

  before(async () => {
    const touch = (socket: net.Socket) => {
      touched += 1
      socket.destroy()
    }
    const [tcp, abstract, plain] = [net.createServer(touch), net.createServer(touch), net.createServer(touch)]
    tcpPort = portOf(await listening(tcp, { port: 0, host: '127.0.0.1' }))
    await listening(abstract, { path: abstractName })
    await listening(plain, { path: socketPath })
    const udp = dgram.createSocket('udp4', () => {
      touched += 1
    })
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
    udpPort = udp.address().port
    servers.push(tcp, abstract, plain, udp)
  })
  after(() => {
    for (const server of servers) server.close()
  })

  const connecting = (options: object) =>
    `require('net').connect(${JSON.stringify(options)}).on('connect', () => console.log('reached')).on('error', (e) => console.log(e.code))`

  test('SAND-2: no listener of the host is reached by TCP, UDP, abstract or plain sockets', async () => {
    for (const options of [
      { port: tcpPort, host: '127.0.0.1' },
      { path: abstractName },
      { path: socketPath },
      { port: 80, host: '192.0.2.1' },
      { port: 80, host: '169.254.169.254' },
    ]) {
      assert.match((await node(connecting(options))).stdoutTail, /^E[A-Z]+\n$/)
    }
    await node(
      `require('dgram').createSocket('udp4').send('x', ${udpPort}, '127.0.0.1', () => process.exit())`,
    )
    assert.equal(touched, 0)
  })

  test('SAND-2: the only interface is its own loopback, and names do not resolve', async () => {
    const result = await shell('tail -n +3 /proc/net/dev; getent hosts example.org || echo unresolved')
    assert.match(result.stdoutTail, /^\s*lo:/)
    assert.match(result.stdoutTail, /unresolved\n$/)
    assert.equal(result.stdoutTail.split('\n').length, 3)
  })

  test('SAND-1: with egress, the proxy variables lead through the relay to the one socket', async (t) => {
    const folder = await temporaryFolder(t)
    const requests: string[] = []
    const proxy = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (chunk) => {
        requests.push(String(chunk).split('\r\n')[0] ?? '')
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      })
    })
    t.after(() => proxy.close())
    const egress = { socketPath: join(folder, 'egress.sock'), caPem: '# test authority\n' }
    await listening(proxy, { path: egress.socketPath })
    const script =
      "fetch('https://api.example.org/').catch((e) => console.log('refused')).then(() => console.log(require('fs').readFileSync(process.env.SSL_CERT_FILE, 'utf8').includes('# test authority')))"
    const result = await node(script, { egress })
    assert.deepEqual(requests, ['CONNECT api.example.org:443 HTTP/1.1'])
    assert.equal(result.stdoutTail, 'refused\ntrue\n')
  })
})

describe('limits', { skip }, () => {
  test('SAND-2: a fork bomb stops at the process limit', async () => {
    const script = 'i=0; while [ $i -lt 300 ]; do sleep 20 & i=$((i+1)); done; echo all'
    const result = await shell(script, { limits: { processes: 20 } })
    assert.doesNotMatch(result.stdoutTail, /all/)
    assert.match(result.stderrTail, /fork/i)
    if (bounded) assert.equal(result.limit, 'processes')
  })

  test('SAND-2: memory ends at its limit', async () => {
    const result = await shell('head -c 3000000000 /dev/zero | tail', {
      limits: { memoryBytes: 128 * 1024 ** 2 },
    })
    assert.notEqual(result.exitCode, 0)
    if (bounded) assert.equal(result.limit, 'memory')
  })

  test('SAND-2: many processes together do not get more memory than one', async () => {
    const hog = 'head -c 300000000 /dev/zero | tail & '
    const result = await shell(`${hog.repeat(6)} wait; sleep 30`, {
      limits: { memoryBytes: 128 * 1024 ** 2 },
    })
    assert.equal(result.limit, 'memory')
  })

  test('SAND-2: the disk ends at its limit, wherever it is written', async () => {
    const script =
      'for d in /tmp /workspace /dev/shm $HOME /run /var/tmp; do head -c 4000000 /dev/zero > $d/x; done; df -k /tmp'
    const result = await shell(script, { limits: { diskBytes: 8_000_000 } })
    assert.match(result.stderrTail, /No space left/)
    assert.equal(result.limit, 'disk')
  })

  test('SAND-2: files end at a number, too', async () => {
    const script =
      'i=0; while : > /tmp/$i; do i=$((i+1)); [ $i -gt 20000 ] && echo all && break; done; echo stopped'
    const result = await shell(script, { limits: { diskBytes: 8_000_000 } })
    assert.doesNotMatch(result.stdoutTail, /all/)
  })

  test('SAND-2: one file ends at its size limit', async () => {
    const result = await run(['head', '-c', '5000000', '/dev/zero'], { limits: { fileBytes: 1_000_000 } })
    assert.equal(result.limit, 'output', 'output is not a file')
    const file = await shell('exec head -c 5000000 /dev/zero > x', { limits: { fileBytes: 1_000_000 } })
    assert.deepEqual([file.signal, file.limit], ['SIGXFSZ', 'disk'])
  })

  test('SAND-2: processor time ends at its limit', async () => {
    const result = await shell('while :; do :; done', { limits: { cpuSeconds: 1 } })
    assert.equal(result.limit, 'cpu')
  })

  test('SAND-2: a flood of output ends the run, and only the allowed part is kept', async () => {
    let passed = 0
    const result = await driver.run(
      { id: testId(), command: ['yes'], env: {}, limits: { ...testLimits, outputBytes: 100_000 } },
      {
        onOutput: (_, chunk) => {
          passed += chunk.length
        },
      },
    )
    assert.equal(result.limit, 'output')
    assert.equal(passed, 100_000)
    assert.match(result.stderrTail, /output ended at 100000 bytes/)
  })

  test('SAND-2: past the wall time nobody survives, however far it has detached itself', async () => {
    const mark = `${4_000_000 + process.pid}`
    const script = `(setsid sh -c 'trap "" TERM HUP; setsid sleep ${mark} >/dev/null 2>&1 &' &); sleep 600`
    const result = await shell(script, { limits: { wallSeconds: 2 } })
    assert.equal(result.limit, 'wall')
    assert.equal(result.exitCode, null)
    assert.deepEqual(await processesWith(mark), [])
  })

  test('SAND-2: nobody survives the end of the command either', async () => {
    const mark = `${5_000_000 + process.pid}`
    const result = await shell(`setsid sleep ${mark} >/dev/null 2>&1 & echo done`)
    assert.equal(result.exitCode, 0)
    assert.deepEqual(await processesWith(mark), [])
  })
})

async function processesWith(word: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.split('\0').includes(word)) found.push(name)
  }
  return found
}

const isX64 = process.arch === 'x64'
const noPerl = skip || (!findProgram('perl', '/usr/bin') && 'perl makes the calls and is not installed')
const errno = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97, EPROTONOSUPPORT: 93 }

describe('the kernel', { skip: noPerl }, () => {
  const refused: Record<string, [x64: number, arm64: number, ...values: number[]]> = {
    'ptrace(TRACEME)': [101, 117, 0, 0, 0, 0],
    'unshare(NEWUSER)': [272, 97, 0x1000_0000],
    'unshare(NEWNS)': [272, 97, 0x20000],
    'clone(NEWUSER)': [56, 220, 0x1000_0000 | 17, 0, 0, 0, 0],
    setns: [308, 268, 0, 0],
    mount: [165, 40, 0, 0, 0, 0, 0],
    bpf: [321, 280, 0, 0, 0],
    keyctl: [250, 219, 0, 0, 0],
    userfaultfd: [323, 282, 0],
    perf_event_open: [298, 241, 0, 0, 0, 0, 0],
    open_by_handle_at: [304, 265, 0, 0, 0],
    kexec_load: [246, 104, 0, 0, 0, 0],
    finit_module: [313, 273, 0, 0, 0],
    'TIOCSTI ioctl': [16, 29, 0, 0x5412, 0],
    'TIOCLINUX ioctl': [16, 29, 0, 0x541c, 0],
  }
  for (const [name, [x64, arm64, ...values]] of Object.entries(refused)) {
    test(`SAND-2: ${name} is not permitted`, async () => {
      assert.equal(await call(isX64 ? x64 : arm64, ...values), errno.EPERM)
    })
  }

  test('SAND-2: what cannot be looked into does not exist', async () => {
    assert.equal(await call(435, 0, 0), errno.ENOSYS, 'clone3')
    assert.equal(await call(425, 1, 0), errno.ENOSYS, 'io_uring_setup')
    assert.equal(await call(600), errno.ENOSYS, 'a call that is newer than the list')
  })

  test('SAND-2: sockets are local or IP; no netlink, packet, vsock, SCTP', async () => {
    const socket = isX64 ? 41 : 198
    for (const family of [16, 17, 40, 38, 31])
      assert.equal(await call(socket, family, 3, 0), errno.EAFNOSUPPORT)
    assert.equal(await call(socket, 2, 1, 132), errno.EPROTONOSUPPORT)
    for (const family of [1, 2, 10]) assert.equal(await call(socket, family, 1, 0), 0)
  })

  test('SAND-2: another ABI ends the process', {
    skip: isX64 ? false : 'only x86_64 has others',
  }, async () => {
    const x32 = await run(['perl', '-e', 'syscall(0x40000000 + 39); print "alive"'])
    assert.deepEqual([x32.stdoutTail, x32.signal], ['', 'SIGSYS'])
  })
})

describe('two sandboxes', { skip }, () => {
  test('SAND-2: of the same id, the second is refused and the first goes on', async () => {
    const id = testId()
    const spec = { id, env: {}, limits: testLimits }
    let second: Promise<unknown> | undefined
    const first = await driver.run(
      { ...spec, command: ['sh', '-c', 'echo on; sleep 1; echo through'] },
      {
        onOutput: () => {
          second ??= assert.rejects(driver.run({ ...spec, command: ['true'] }, {}), {
            code: 'sandbox.failed',
          })
        },
      },
    )
    await second
    assert.equal(first.stdoutTail, 'on\nthrough\n')
  })

  test('SAND-2: side by side, neither sees the other', async () => {
    const [one, other] = await Promise.all([
      shell('echo secret > /tmp/one; echo secret > /dev/shm/one; sleep 1'),
      shell(
        'sleep 0.5; ls -A /tmp /dev/shm /workspace; echo [0-9]* > /dev/null; ps ax 2>/dev/null | grep -c "[/]tmp/one"',
      ),
    ])
    assert.equal(one.exitCode, 0)
    assert.doesNotMatch(other.stdoutTail, /one|secret/)
  })
})

describe('a server that dies', { skip }, () => {
  test('SAND-2: kill -9 leaves no process, and the next start sweeps what is left', async (t) => {
    const folder = await temporaryFolder(t)
    const mark = `${6_000_000 + process.pid}`
    const script = new URL('../../test/support/sandbox-victim.ts', import.meta.url).pathname
    const victim = spawn(nodePath, [script, folder, mark], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => victim.stdout.once('data', resolve))
    assert.equal((await readdir(join(folder, 'running'))).length, 1)
    victim.kill('SIGKILL')
    await new Promise((resolve) => victim.once('exit', resolve))
    const next = createBubblewrapDriver({
      clock: systemClock,
      random: Math.random,
      stateDir: folder,
      nodePath,
    })
    assert.equal(await next.sweep(), 1)
    assert.deepEqual(await readdir(join(folder, 'running')), [])
    assert.equal(await next.sweep(), 0)
    for (let left = 100; left > 0 && (await processesWith(mark)).length > 0; left--) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.deepEqual(await processesWith(mark), [])
  })

  test('SAND-2: a sweep leaves alone what a living server runs', async () => {
    const cancel = new AbortController()
    let swept = -1
    const spec = {
      id: testId(),
      command: ['sh', '-c', 'echo on; sleep 600'] as const,
      env: {},
      limits: testLimits,
    }
    const result = await driver.run(spec, {
      signal: cancel.signal,
      onOutput: () =>
        void driver.sweep().then((count) => {
          swept = count
          cancel.abort()
        }),
    })
    assert.equal(swept, 0)
    assert.equal(result.cancelled, true)
  })
})

describe('other ways to start the server', {
  skip: skip || isAgain || (!isRoot && 'they start as root'),
}, () => {
  const without = ['--bounding-set=-sys_admin', '--']
  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--']

  async function again(t: TestContext, words: string[], pattern: string): Promise<void> {
    const folder = await temporaryFolder(t)
    await chmod(folder, 0o777)
    const [mayRead] = await finished(spawn('setpriv', [...words, nodePath, '--check', import.meta.filename]))
    if (mayRead !== 0) {
      t.skip('that user may not read this checkout')
      return
    }
    const options = ['--test-reporter=tap', `--test-name-pattern=${pattern}`]
    const env = { PATH: process.env['PATH'] ?? '', TMPDIR: folder, KEYWARD_TEST_AGAIN: '1' }
    const child = spawn('setpriv', [...words, nodePath, ...options, import.meta.filename], {
      cwd: folder,
      env,
    })
    const [code, report] = await finished(child)
    const failures = report.split('\n').filter((line) => /not ok|error:|expected|actual/.test(line))
    assert.equal(code, 0, failures.join('\n'))
    assert.match(report, /^# pass [1-9]/m)
  }

  test('SAND-2: the same attacks fail when it is an ordinary user', (t) => again(t, nobody, '.'))

  test('SAND-2: the same holds for root in a container that may not mount', (t) =>
    again(t, without, 'the host|the network|the workspace'))
})

async function finished(child: ChildProcess): Promise<[code: number | null, report: string]> {
  let report = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      report += chunk
    })
  }
  return new Promise((resolve) => child.once('close', (code) => resolve([code, report])))
}
