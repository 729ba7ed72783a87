import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { cleanUp } from './clean-up.ts'

const memory = '/dev/shm'
/** Containers often have 64 MB there, which is too little for a few tests at once. */
const roomBytes = 2 ** 30

/**
 * Where stores of tests lie: in memory where the machine has room there. What they prove is the same, as a killed process loses
 * nothing that the kernel has, in memory as on a disk; only the waiting for the disk goes.
 */
export function memoryOrDisk(): string {
  try {
    accessSync(memory, constants.W_OK)
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= roomBytes ? memory : tmpdir()
  } catch {
    // Not on every system.
    return tmpdir()
  }
}

/** A folder for a store, removed after the test. */
export function memoryFolder(t: TestContext): string {
  const path = mkdtempSync(join(memoryOrDisk(), 'keyward-test-'))
  cleanUp(t, () => rmSync(path, { recursive: true, force: true }))
  return path
}
