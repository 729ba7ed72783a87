// System calls that would widen the sandbox, made one by one.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findProgram } from '../../../src/sandbox/index.ts'
import { attacker, type Subject } from './attacker.ts'

const isX64 = process.arch === 'x64'
const errno = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97, EPROTONOSUPPORT: 93 }

export function kernelContract({ driver, skip }: Subject): void {
  const { run, call } = attacker(driver)
  const noPerl = skip || (!findProgram('perl', '/usr/bin') && 'perl makes the calls and is not installed')

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
}
